"""Variables on a running instance: what builds are given, what shows of it, and what a change makes."""

import base64
import json
import uuid
from collections.abc import Generator
from dataclasses import dataclass
from typing import Any

import pytest

from bot.domain.deployment import Deployment, State
from bot.domain.ids import AppId, Sha
from bot.lifecycle import Lifecycle
from bot.queue import Queue, connect
from bot.store import deployments
from tests.calling import Caller
from tests.fakes import payloads
from tests.fakes.repository import Repository
from tests.flows.conftest import MakeRepository
from tests.running import Slipway
from tests.waiting import wait_until

pytestmark = pytest.mark.slow

TOKEN = 'tok3n/with+signs & "quotes" <and> more'
KEY = "-----BEGIN KEY-----\nMIIEvQIBADANBgkqhkiG9w0BAQEFAASC\nqhkiG9w0BAQEFAASCBKkwgg\n-----END KEY-----"
RECIPE = '[build]\ncommand = "python3 build.py"\noutput = "out"\n'
# Prints all that it is given, and the secret in every way that programs print one.
BUILD = """
import base64, json, os, pathlib, sys, urllib.parse
token = os.environ.get("API_TOKEN", "")
for name, value in os.environ.items():
    print(f"{name}={value}")
raw = token.encode()
for form in (token, json.dumps(token), urllib.parse.quote(token), urllib.parse.quote(token, ""), raw.hex(),
             base64.b64encode(raw).decode(), base64.b64encode(b"x" + raw).decode(), repr(token)):
    print("form:", form)
    sys.stderr.write(form + "\\n")
for letter in token:
    sys.stdout.write(letter)
    sys.stdout.flush()
pathlib.Path("out").mkdir()
names = ("API_URL", "ONLY_STAGE", "SHARED", "RUNTIME_ONLY", "CI")
pathlib.Path("out/index.html").write_text("".join(f"{name}={os.environ.get(name)};" for name in names))
"""
LEAK = """
import os, pathlib
pathlib.Path("out").mkdir()
pathlib.Path("out/app.js").write_text(os.environ["API_TOKEN"])
"""


@dataclass
class Shop:
    slipway: Slipway
    caller: Caller
    repository: Repository
    app: AppId
    slug: str

    def commit(self, build: str = BUILD, *, text: str = "", branch: str = "main") -> Sha:
        return self.repository.commit(
            {"slipway.toml": RECIPE, "build.py": build, "text": text}, "A change", branch=branch
        )

    def deploy(self, sha: Sha) -> Deployment:
        return self.slipway.deploy(self.slug, sha)

    def again(self) -> Deployment:
        made = self.caller.post(f"/apps/{self.slug}/deployments", {"branch": "main"})
        return self.slipway.ended(made["id"])

    def log(self, deployment: Deployment) -> str:
        code = 0 if deployment.state is State.SUCCEEDED else 1
        return self.slipway.run("logs", f"DEP-{deployment.id}", code=code)

    def page(self, environment: str = "production") -> str:
        return self.slipway.get(self.slipway.hostname(self.app, environment)).text

    def set(self, variables: dict[str, Any], **more: Any) -> Any:
        return self.caller.patch(f"/apps/{self.slug}/variables", {"variables": variables, **more})

    def pull(self, sha: Sha, number: int, **more: Any) -> Deployment:
        payload = payloads.pull_request(
            sha=sha,
            number=number,
            repository=f"acme/{self.slug}",
            repository_id=int.from_bytes(self.slug.encode()[-6:], "big"),
            **more,
        )
        assert self.slipway.deliver("pull_request", payload).status_code == 202

        def found() -> list[Deployment]:
            return [one for one in self.slipway.deployments(self.app) if one.sha == sha and one.pull]

        return wait_until(found, 20, "the deployment of a pull request")[0]


@pytest.fixture
def shop(slipway: Slipway, make_repository: MakeRepository) -> Generator[Shop]:
    slug = f"vars-{uuid.uuid4().hex[:8]}"
    repository = make_repository(slug)
    app = slipway.create_app(repository, slug)
    made = json.loads(slipway.run("token", "create", "--email", "mona@example.org", "--json"))
    caller = Caller(f"http://{slipway.settings.web_address}", made["token"])
    yield Shop(slipway, caller, repository, app, slug)
    caller.http.close()


def test_a_build_is_given_its_variables_and_its_log_none_of_the_secrets(shop: Shop):
    shop.set(
        {
            "API_URL": "https://api.example.org",
            "API_TOKEN": TOKEN,
            "SIGNING_KEY": KEY,
            "RUNTIME_ONLY": {"value": "not at build time", "build": False},
            "CI": "false",
        }
    )
    deployed = shop.deploy(shop.commit())
    log = shop.log(deployed)
    assert deployed.state is State.SUCCEEDED, log
    assert "variables: API_TOKEN (secret), API_URL, CI, SIGNING_KEY (secret)" in log
    assert (
        shop.page()
        == "API_URL=https://api.example.org;ONLY_STAGE=None;SHARED=None;RUNTIME_ONLY=None;CI=false;"
    )
    assert "API_URL=https://api.example.org" in log
    assert "API_TOKEN=[REDACTED]" in log
    raw = TOKEN.encode()
    for form in (TOKEN, json.dumps(TOKEN)[1:-1], raw.hex(), base64.b64encode(raw).decode(), "MIIEvQIBADANB"):
        assert form not in log
    assert log.count("[REDACTED]") > 15
    kept = b"".join(one.read_bytes() for one in (shop.slipway.home / "logs").rglob("*") if one.is_file())
    store = b"".join(one.read_bytes() for one in shop.slipway.home.glob("slipway.db*"))
    assert raw not in kept + store + shop.slipway.log.read_bytes()
    assert b"https://api.example.org" not in store


def test_a_changed_value_is_a_new_build_and_the_old_value_the_old_release(shop: Shop):
    shop.set({"API_URL": "https://one.example.org"})
    shop.deploy(shop.commit())
    answer = shop.set({"API_URL": "https://two.example.org"})
    assert answer["pending"] == [{"app": shop.slug, "environment": "production", "names": ["API_URL"]}]
    production = f"/apps/{shop.slug}/environments/production"
    assert shop.caller.get(production)["pendingVariables"] == ["API_URL"]
    assert "one.example.org" in shop.page()
    assert shop.again().state is State.SUCCEEDED
    assert "two.example.org" in shop.page()
    assert shop.caller.get(production)["pendingVariables"] == []
    shop.set({"API_URL": "https://one.example.org"})
    back = shop.again()
    assert "nothing to build" in shop.log(back)
    assert "one.example.org" in shop.page()


def test_a_preview_has_no_value_of_production_unless_it_says_so(shop: Shop):
    shop.set({"API_URL": "https://live", "SHARED": {"value": "both", "appliesTo": "all"}, "API_TOKEN": TOKEN})
    shop.set({"ONLY_STAGE": "preview", "API_TOKEN": "a-token-of-previews"}, appliesTo="preview")
    main = shop.commit()
    shop.deploy(main)
    assert shop.page() == "API_URL=https://live;ONLY_STAGE=None;SHARED=both;RUNTIME_ONLY=None;CI=1;"
    shop.repository.force("feature", main)
    sha = shop.commit(text="other", branch="feature")
    shop.repository.point("refs/pull/1/head", sha)
    made = shop.slipway.ended(shop.pull(sha, 1).id)
    assert made.state is State.SUCCEEDED, shop.log(made)
    assert shop.page("preview/pr-1") == "API_URL=None;ONLY_STAGE=preview;SHARED=both;RUNTIME_ONLY=None;CI=1;"
    assert "API_TOKEN=[REDACTED]" in shop.log(made)


def test_the_code_of_a_fork_is_given_nothing_even_when_somebody_lets_it_go(shop: Shop):
    shop.set({"API_URL": "https://preview", "API_TOKEN": TOKEN}, appliesTo="preview")
    main = shop.commit()
    shop.deploy(main)
    shop.repository.force("feature", main)
    sha = shop.commit(text="of a fork", branch="feature")
    shop.repository.point("refs/pull/2/head", sha)
    held = shop.pull(sha, 2, head_repository="stranger/fork")
    assert held.state is State.HELD
    queue = Queue(connect(shop.slipway.settings.redis))
    lifecycle = Lifecycle(shop.slipway.engine, queue, preview_domain="localhost")
    with lifecycle.change() as change:
        lifecycle.let_go(change, deployments.get(change.tx, held.id), "approved by a test")
    made = shop.slipway.ended(held.id)
    log = shop.log(made)
    assert made.state is State.SUCCEEDED, log
    assert "variables withheld from the code of a fork: API_TOKEN, API_URL" in log
    assert "API_URL=None;" in shop.page("preview/pr-2")


def test_a_secret_in_clear_text_is_not_published(shop: Shop):
    shop.set({"API_TOKEN": TOKEN})
    failed = shop.deploy(shop.commit(LEAK))
    assert failed.failure is not None
    assert failed.failure.code == "secret-published"
    assert (failed.failure.facts["name"], failed.failure.facts["path"]) == ("API_TOKEN", "app.js")
    log = shop.log(failed)
    assert "warning: the secret API_TOKEN stands in app.js" in log
    assert TOKEN not in log
    shop.set({"API_TOKEN": {"value": TOKEN, "secret": False}})
    assert shop.again().state is State.SUCCEEDED
