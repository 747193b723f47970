"""Every operation of the document, by every kind of caller."""

from collections.abc import Generator
from datetime import UTC, datetime
from typing import Any

import httpx
import pytest

from bot.api.openapi import document
from bot.domain.deployment import Blame, Failure, Phase
from bot.logs import DeploymentLog
from bot.queue import connect
from bot.store import deliveries, people, tokens
from bot.store.deliveries import NewDelivery, StoredDecision
from bot.store.engine import reading, writing
from tests.calling import PREFIX, Site, api_site, check

GUID, SHARED = "72d3162e-cc78-11e3-81ab-4c9367dc0958", "72d3162e-cc78-11e3-81ab-000000000000"
CALLERS = (
    "nobody wrong expired stranger viewer developer admin owner reading app-token second-token operator "
    "hook oidc oidc-expired oidc-access oidc-unknown session session-ended session-forged"
).split()
# The same person: by a token, by an ID token, by a session.
DEVELOPER = {"developer", "oidc", "session"}
PEOPLE = {"viewer", "admin", "owner"} | DEVELOPER
UNKNOWN = set("nobody wrong expired hook oidc-expired oidc-access session-ended".split())
# Who may, by what an operation needs. Whoever may not is answered 403; what is another's is 404.
MAY = {
    "read": PEOPLE | {"reading", "app-token", "operator"},
    "deploy": DEVELOPER | {"admin", "owner", "app-token", "operator"},
    "configure": {"admin", "owner", "operator"},
    "list": PEOPLE | {"reading", "operator"},
    "account": PEOPLE,
    "operate": {"operator"},
    "instance": {"admin", "owner", "operator"},
    "known": PEOPLE | {"reading", "app-token", "second-token", "operator"},
}
ROWS = {
    "listApps": "list",
    "createApp": "configure",
    "getApp": "read",
    "updateApp": "configure",
    "archiveApp": "configure",
    "unarchiveApp": "configure",
    "deleteApp": "configure",
    "listDeployments": "list",
    "listAppDeployments": "read",
    "createDeployment": "deploy",
    "getDeployment": "read",
    "getFailure": "read",
    "getLogs": "read",
    "streamDeployment": "read",
    "cancelDeployment": "deploy",
    "retryDeployment": "deploy",
    "listReleases": "read",
    "getRelease": "read",
    "activateRelease": "deploy",
    "listEnvironments": "read",
    "getEnvironment": "read",
    "rollBack": "deploy",
    "resume": "deploy",
    "listPreviews": "read",
    "closePreview": "deploy",
    "wakePreview": "deploy",
    "extendPreview": "deploy",
    "listShareLinks": "read",
    "createShareLink": "deploy",
    "revokeShareLink": "deploy",
    "revokeShareLinks": "deploy",
    "listDeliveries": "list",
    "getDelivery": "list",
    "explainDelivery": "list",
    "getMe": "known",
    "listTokens": "account",
    "createToken": "account",
    "revokeToken": "account",
    "listAppTokens": "configure",
    "createAppToken": "configure",
    "revokeAppToken": "configure",
    "listOrgs": "list",
    "createOrg": "operate",
    "getOrg": "list",
    "listProjects": "list",
    "listMembers": "list",
    "addMember": "configure",
    "updateMember": "configure",
    "removeMember": "configure",
    "listSessions": "account",
    "revokeSession": "account",
    "listInvitations": "configure",
    "invite": "configure",
    "resendInvitation": "configure",
    "revokeInvitation": "configure",
    "acceptInvitation": "account",
    "listDeployHooks": "configure",
    "createDeployHook": "configure",
    "revokeDeployHook": "configure",
    "listInstallations": "list",
    "bindInstallation": "operate",
    "unbindInstallation": "configure",
    "testEmail": "instance",
}
# Of these a stranger has some of its own, where no organisation is named.
OWN = set(
    "listApps createApp listDeployments listDeliveries listOrgs listMembers addMember updateMember "
    "removeMember getMe listTokens createToken revokeToken listSessions revokeSession listInvitations "
    "invite resendInvitation revokeInvitation acceptInvitation listInstallations unbindInstallation "
    "testEmail".split()
)
# The operator belongs to no organisation: it must name one.
NAMED = {"listMembers", "listInvitations", "listInstallations"}


def operations() -> list[tuple[str, str, str]]:
    return [
        (described["operationId"], method.upper(), path)
        for path, methods in document()["paths"].items()
        for method, described in methods.items()
    ]


def base_of(operation: str) -> str:
    for suffix in ("OfApp", "InProject", "InOrg"):
        operation = operation.removesuffix(suffix)
    return operation


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Generator[Site]:
    with api_site(tmp_path_factory.mktemp("home")) as site:
        fill(site)
        yield site


def fill(site: Site) -> None:
    """A release that is live, a deployment that failed with a log, and a delivery."""
    instance = site.instance
    instance.push(site.shop, "a" * 40)
    instance.succeed(instance.claim())
    instance.push(site.shop, "b" * 40)
    claim = instance.claim()
    log = DeploymentLog(instance.settings.home, claim.deployment.id, connect(instance.settings.redis))
    log.output("build", "stdout", b"all is lost\n")
    instance.step(claim, Phase.BUILD, command="npm run build", code=1)
    instance.fail(claim, Failure("build-failed", {"command": "npm run build", "exit_code": 1}, Blame.USER))
    log.close()
    now = datetime.now(UTC)
    with writing(instance.engine) as tx:
        made = deliveries.insert_new(
            tx, [NewDelivery("1", guid, "push", b"{}", now) for guid in (GUID, SHARED)]
        )
        for guid, app in ((GUID, site.shop), (SHARED, site.shop), (SHARED, site.theirs)):
            delivery = made["1", guid]
            decision = StoredDecision(delivery, app.id, "deploy", "mapped", "main deploys.", {}, now)
            deliveries.add_decision(tx, decision)
            deliveries.mark_decided(tx, delivery, now)


def address(site: Site, path: str) -> str:
    with reading(site.instance.engine) as tx:
        tenant = people.tenant(tx, "acme")
        assert tenant is not None
        member = people.member_by_email(tx, tenant.id, "viewer@acme.example")
        assert member is not None
        token = tokens.of_user(tx, tenant.id, member.id)[0]
    parts: dict[str, Any] = {
        "org": "acme",
        "project": "default",
        "app": "shop",
        "deployment": "DEP-2",
        "release": "1",
        "environment": "production",
        "delivery": GUID,
        "token": token.id,
        "member": member.id,
        "number": 7,
        "link": 1,
        "session": 1,
        "invitation": 1,
        "hook": 1,
        "installation": 1,
    }
    return path.format(**parts)


def expected(operation: str, path: str, who: str) -> int:
    base = base_of(operation)
    if who in UNKNOWN:
        return 401
    if who in ("session-forged", "oidc-unknown"):
        return 403
    if who == "stranger":
        own = base == "getMe" or (base in OWN and "{org}" not in path)
        return (
            403 if base in ("createOrg", "bindInstallation") and "{org}" not in path else 200 if own else 404
        )
    if who == "operator" and base in NAMED and "{org}" not in path:
        return 404
    if who == "second-token" and "{app}" in path + document_of(base):
        return 404
    return 200 if who in MAY[ROWS[base]] else 403


def document_of(base: str) -> str:
    """The app's part in a path that names it by a deployment."""
    return (
        "{app}"
        if ("eployment" in base and base != "listDeployments") or base in ("getFailure", "getLogs")
        else ""
    )


def test_every_operation_has_a_row():
    assert {base_of(operation) for operation, _, _ in operations()} == set(ROWS)


@pytest.mark.parametrize(("operation", "method", "path"), operations())
def test_callers_may_what_they_may(site: Site, operation: str, method: str, path: str):
    found: dict[str, int] = {}
    for who in CALLERS:
        # A parameter that there is not: whoever may is told so, and nothing is changed.
        asked = address(site, path) + ("" if method == "GET" else "?nonsense=1")
        answer: httpx.Response = site[who].http.request(method, asked)
        if not (operation.startswith("streamDeployment") and answer.status_code == 200):
            check(method, asked, answer)
        # Several wrong tokens from one address are answered with a pause.
        locked_out = who in ("wrong", "hook") and answer.status_code == 429
        found[who] = 401 if locked_out else answer.status_code
    allowed = 200 if method == "GET" else 400
    wanted = {who: expected(operation, path, who) for who in CALLERS}
    assert found == {who: allowed if status == 200 else status for who, status in wanted.items()}


def test_a_delivery_tells_a_tenant_of_its_own_apps_alone(site: Site):
    told = site.owner.get(f"/deliveries/{SHARED}")
    assert [one["app"] for one in told["decisions"]] == ["shop"]
    sentences = " ".join(site["stranger"].get(f"/deliveries/{SHARED}/explain")["sentences"])
    assert "theirs" in sentences
    assert "shop" not in sentences
    assert len(site["operator"].get(f"/deliveries/{SHARED}")["decisions"]) == 2


def test_the_document_has_examples_that_fit_and_is_served_to_everybody(site: Site):
    answer = httpx.get(f"{site.url}{PREFIX}/openapi.json")
    assert answer.json() == document()
    page = httpx.get(f"{site.url}/api/docs")
    assert page.status_code == 200
    for operation, _, _ in operations():
        assert (f'id="{operation}"' in page.text) == (operation == base_of(operation))
