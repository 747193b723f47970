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
from bot.store import deliveries, gaps, people, tokens
from bot.store.deliveries import NewDelivery, StoredDecision
from bot.store.engine import reading, writing
from bot.store.gaps import Open, Recovered
from tests.calling import PREFIX, Site, api_site, check
from tests.keeping import keep_files

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
    "approve": DEVELOPER | {"admin", "owner", "operator"},
    "configure": {"admin", "owner", "operator"},
    "list": PEOPLE | {"reading", "operator"},
    "account": PEOPLE,
    "own": {"owner", "operator"},
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
    "detectApp": "configure",
    "getDetection": "list",
    "getBuildConfig": "read",
    "updateBuildConfig": "configure",
    "getRuntimeConfig": "read",
    "updateRuntimeConfig": "configure",
    "createEnvironment": "configure",
    "updateEnvironment": "configure",
    "deleteEnvironment": "configure",
    "listDomains": "read",
    "addDomain": "configure",
    "getDomain": "read",
    "verifyDomain": "configure",
    "removeDomain": "configure",
    "updateOrg": "own",
    "createProject": "configure",
    "getProject": "list",
    "updateProject": "configure",
    "archiveProject": "configure",
    "unarchiveProject": "configure",
    "deleteProject": "configure",
    "listQueue": "list",
    "getReadiness": "read",
    "compareReleases": "read",
    "downloadRelease": "read",
    "approveDeployment": "approve",
    "rejectDeployment": "approve",
    "listReleases": "read",
    "getRelease": "read",
    "activateRelease": "deploy",
    "listEnvironments": "read",
    "getEnvironment": "read",
    "rollBack": "deploy",
    "resume": "deploy",
    "lockEnvironment": "deploy",
    "unlockEnvironment": "deploy",
    "listFreezeWindows": "read",
    "createFreezeWindow": "configure",
    "deleteFreezeWindow": "configure",
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
    "getGaps": "list",
    "replayDelivery": "configure",
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
    "listRepositories": "configure",
    "refreshRepositories": "configure",
    "testEmail": "instance",
    "listAudit": "configure",
    "exportAudit": "configure",
    "getActivity": "list",
    "getAppActivity": "read",
    "listEventTypes": "list",
    **dict.fromkeys(
        (
            "listWebhooks createWebhook getWebhook updateWebhook deleteWebhook rotateWebhookSecret "
            "testWebhook listWebhookDeliveries redeliverWebhook listChannels createChannel getChannel "
            "updateChannel deleteChannel testChannel listChannelNotices"
        ).split(),
        "configure",
    ),
    "listOrgVariables": "list",
    "listOrgVariableChanges": "list",
    "revealOrgVariable": "configure",
    "replaceOrgVariables": "configure",
    "updateOrgVariables": "configure",
    "importOrgVariables": "configure",
    "listProjectVariables": "list",
    "listProjectVariableChanges": "list",
    "revealProjectVariable": "configure",
    "replaceProjectVariables": "configure",
    "updateProjectVariables": "configure",
    "importProjectVariables": "configure",
    "listAppVariables": "read",
    "listAppVariableChanges": "read",
    "revealAppVariable": "configure",
    "replaceAppVariables": "configure",
    "updateAppVariables": "configure",
    "importAppVariables": "configure",
    "listEnvironmentVariables": "read",
    "listEnvironmentVariableChanges": "read",
    "revealEnvironmentVariable": "configure",
    "replaceEnvironmentVariables": "configure",
    "updateEnvironmentVariables": "configure",
    "importEnvironmentVariables": "configure",
    "cloneVariables": "configure",
    "listEffectiveVariables": "read",
}
# Of these a stranger has some of its own, where no organisation is named.
OWN = set(
    "getGaps replayDelivery "
    "listApps createApp detectApp listQueue listDeployments listDeliveries listOrgs listMembers addMember "
    "updateMember "
    "removeMember getMe listTokens createToken revokeToken listSessions revokeSession listInvitations "
    "invite resendInvitation revokeInvitation acceptInvitation listInstallations unbindInstallation "
    "listRepositories refreshRepositories "
    "testEmail listAudit exportAudit getActivity listEventTypes "
    "listWebhooks createWebhook updateWebhook rotateWebhookSecret testWebhook deleteWebhook redeliverWebhook "
    "listChannels createChannel updateChannel testChannel deleteChannel".split()
)
# The operator belongs to no organisation: it must name one.
NAMED = {
    "listMembers",
    "listInvitations",
    "listInstallations",
    "listWebhooks",
    "getWebhook",
    "listWebhookDeliveries",
    "listChannels",
    "getChannel",
    "listChannelNotices",
}


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
    """A release that is live, a deployment that failed with a log, a delivery, a webhook, a channel."""
    instance = site.instance
    hook = site.owner.post("/webhooks", {"name": "board", "url": "https://board.example/"})
    channel = site.owner.post("/channels", {"name": "chat", "url": "slack://a/b/c"})
    assert (hook["id"], channel["id"]) == (1, 2)
    assert site.owner.post("/webhooks/1/test")["id"] == "1"
    instance.push(site.shop, "a" * 40)
    instance.succeed(instance.claim())
    instance.push(site.shop, "b" * 40)
    claim = instance.claim()
    log = DeploymentLog(instance.settings.home, claim.deployment.id, connect(instance.settings.redis))
    log.output("build", "stdout", b"all is lost\n")
    instance.step(claim, Phase.BUILD, command="npm run build", code=1)
    instance.fail(claim, Failure("build-failed", {"command": "npm run build", "exit_code": 1}, Blame.USER))
    log.close()
    keep_files(instance, 1, {"index.html": b"hello"})
    site.owner.post("/apps/shop/environments/production/domains", {"hostname": "www.acme.example"})
    site.owner.post("/apps/detect", {"repository": "acme/shop"}, 202)
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
        "detection": 1,
        "domain": "www.acme.example",
        "token": token.id,
        "member": member.id,
        "number": 7,
        "link": 1,
        "window": 1,
        "session": 1,
        "invitation": 1,
        "hook": 1,
        "installation": 1,
        "webhook": 1,
        "channel": 2,
        "message": 1,
    }
    query = "?from=1&to=1" if path.endswith("/compare") else ""
    return path.format(**parts) + query


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


@pytest.mark.slow
@pytest.mark.parametrize(("operation", "method", "path"), operations())
def test_callers_may_what_they_may(site: Site, operation: str, method: str, path: str):
    found: dict[str, int] = {}
    for who in CALLERS:
        # A parameter that there is not: whoever may is told so, and nothing is changed.
        asked = address(site, path) + ("" if method == "GET" else "?nonsense=1")
        answer: httpx.Response = site[who].http.request(method, asked)
        if answer.headers["content-type"] == "application/json":
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


def test_what_is_missing_is_shown_and_what_was_given_up_is_taken_up_again(site: Site):
    now = datetime.now(UTC)
    with writing(site.instance.engine) as tx:
        lost = Open(7, now, times=2, event="push")
        gaps.keep(tx, Recovered(checked_at=now, gaps=1, open={"lost": lost}))
        failed = deliveries.insert_new(tx, [NewDelivery("1", "failed", "push", b"{}", now)])["1", "failed"]
        deliveries.put_off(tx, failed, "it broke", None)
    told = site["operator"].get("/deliveries/gaps")
    assert [(one["guid"], one["event"], one["askedFor"]) for one in told["missing"]] == [("lost", "push", 2)]
    assert site["viewer"].get("/deliveries/gaps") == {**told, "missing": []}
    assert site["operator"].get("/deliveries/failed")["status"] == "failed"
    # Whose it is was never found out.
    assert site.owner.post("/deliveries/failed/replay", status=404)
    assert site["operator"].post("/deliveries/failed/replay", status=200)["status"] == "received"
    assert site["operator"].post(f"/deliveries/{GUID}/replay", status=409)
