"""The API of a real web application, and callers of every kind; its answers are held to its document."""

import re
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import cache
from pathlib import Path
from typing import Any

import httpx
import jsonschema_rs
from starlette.requests import HTTPConnection

from bot.api.openapi import document
from bot.api.rates import Rates
from bot.app import create_app
from bot.console.access import console_key
from bot.domain.app import App
from bot.domain.roles import Role, Verb
from bot.domain.session import SignedInBy
from bot.minted import HOOK, OF_APP, PERSONAL, mint
from bot.sessions import Sessions
from bot.store import apps, deploy_hooks, people, tokens
from bot.store import sessions as store
from bot.store.apps import NewApp
from bot.store.deploy_hooks import NewHook
from bot.store.engine import writing
from bot.store.tokens import NewToken
from tests.fakes import issuer as fake
from tests.fakes.issuer import AUDIENCE, issuing
from tests.instance import Instance
from tests.serving import serving

PREFIX = "/api/v1"


@cache
def _validator(path: str, method: str, status: str) -> jsonschema_rs.Draft202012Validator:
    where: dict[str, Any] = (
        document()["paths"][path][method]["responses"][status] if path else {"$ref": f"#/{status}"}
    )
    if "$ref" in where:
        where = document()["components"]["responses"][status]
    schema = where["content"]["application/json"]["schema"]
    return jsonschema_rs.Draft202012Validator({**schema, "components": document()["components"]})


def matching(path: str) -> str | None:
    """The template of the document that a path belongs to; fixed words count more than parts that vary."""
    found = [
        template
        for template in document()["paths"]
        if re.fullmatch(re.sub(r"\{\w+\}", "[^/]+", template), path.partition("?")[0])
    ]
    return min(found, key=lambda template: template.count("{"), default=None)


def check(method: str, path: str, answer: httpx.Response) -> None:
    """Hold an answer to the document: its status is declared, its body fits, its headers are there."""
    assert answer.headers["x-request-id"]
    template = matching(path) or ""
    described = document()["paths"].get(template, {}).get(method.lower())
    if described is None:
        assert answer.status_code in (404, 405), answer.text
        _validator("", "", "404").validate(answer.json())
        return
    status = str(answer.status_code)
    assert status in described["responses"], f"{method} {path}: {status} is not declared: {answer.text}"
    _validator(template, method.lower(), status).validate(answer.json())


class Caller:
    """Calls the API with one token. What is returned was held to the document."""

    def __init__(self, url: str, token: str | None, **headers: str) -> None:
        headers = {name.replace("_", "-"): value for name, value in headers.items()}
        headers |= {} if token is None else {"authorization": f"Bearer {token}"}
        self.http = httpx.Client(base_url=url, headers=headers, timeout=20, trust_env=False, verify=False)

    def call(self, method: str, path: str, json: Any = None, **headers: str) -> httpx.Response:
        headers = {name.replace("_", "-"): value for name, value in headers.items()}
        answer = self.http.request(method, f"{PREFIX}{path}", json=json, headers=headers)
        check(method, f"{PREFIX}{path}", answer)
        return answer

    def get(self, path: str, status: int = 200) -> Any:
        return self._data("GET", path, None, status)

    def post(self, path: str, json: Any = None, status: int = 201) -> Any:
        return self._data("POST", path, json, status)

    def patch(self, path: str, json: Any, status: int = 200) -> Any:
        return self._data("PATCH", path, json, status)

    def delete(self, path: str, status: int = 200) -> Any:
        return self._data("DELETE", path, None, status)

    def _data(self, method: str, path: str, json: Any, status: int) -> Any:
        answer = self.call(method, path, json)
        assert answer.status_code == status, answer.text
        content = answer.json()
        return content["data"] if content["success"] else content["error"]


@dataclass
class Site:
    """A served instance with two organisations, `acme` (of the app `shop`) and `other` (of `theirs`)."""

    instance: Instance
    url: str
    callers: dict[str, Caller]
    shop: App
    second: App
    theirs: App
    issuer: fake.Issuer

    def __getitem__(self, who: str) -> Caller:
        return self.callers[who]

    @property
    def owner(self) -> Caller:
        return self.callers["owner"]


@contextmanager
def api_site(
    home: Path, redis_url: str | None = None, rates: Rates | None = None, **settings_too: Any
) -> Generator[Site]:
    with issuing() as issuer:
        more = {"oidc_issuer": issuer.url, "oidc_audience": [AUDIENCE], **settings_too}
        instance = Instance(home, redis_url, **more)
        settings = instance.settings
        app = create_app(settings, rates=rates or Rates(100_000, 100_000), clock=instance.now)
        with serving(app) as url:
            texts, found = _people(instance)
            texts |= {"operator": console_key(settings), "wrong": f"slp_{'0' * 12}_{'x' * 43}"}
            texts |= _by_id_token(issuer)
            callers = {who: Caller(url, text) for who, text in texts.items()} | {"nobody": Caller(url, None)}
            callers |= _by_session(instance, url)
            yield Site(instance, url, callers, *found, issuer)
            for caller in callers.values():
                caller.http.close()
        instance.close()


def _by_id_token(issuer: fake.Issuer) -> dict[str, str]:
    developer = "developer@acme.example"
    return {
        "oidc": issuer.token(email=developer),
        "oidc-expired": issuer.token(email=developer, exp=1),
        "oidc-access": issuer.token(email=developer, token_use="access"),
        "oidc-unknown": issuer.token(email="nobody@acme.example"),
    }


def _by_session(instance: Instance, url: str) -> dict[str, Caller]:
    sessions = Sessions(instance.engine, public_url=instance.settings.url, clock=instance.now)
    found: dict[str, Caller] = {}
    browser = HTTPConnection({"type": "http", "headers": []})
    for who, kept in {"session-ended": False, "session": True, "session-forged": True}.items():
        with writing(instance.engine) as tx:
            user = people.user_by_email(tx, "developer@acme.example")
            assert user is not None
            secret = sessions.begin(tx, browser, user, SignedInBy.OIDC)
            if not kept:
                store.revoke_all(tx, user.id, instance.now())
        origin = {"origin": "http://evil.localhost"} if who == "session-forged" else {"origin": url}
        found[who] = Caller(url, None, cookie=f"{sessions.cookie}={secret}", **origin)
    return found


def _people(instance: Instance) -> tuple[dict[str, str], tuple[App, App, App]]:
    now = datetime.now(UTC)
    texts: dict[str, str] = {}
    with writing(instance.engine) as tx:
        acme, other = (people.insert_tenant(tx, slug, slug.title(), now) for slug in ("acme", "other"))
        made: list[App] = []
        for slug, tenant in (("shop", acme), ("second", acme), ("theirs", other)):
            new = NewApp(slug, f"acme/{slug}", f"https://github.com/acme/{slug}.git", "main")
            made.append(apps.insert(tx, new, now, (tenant.id, people.projects_of(tx, tenant.id)[0].id)))

        def issue(name: str, kind: str, *, tenant: Any, **more: Any) -> None:
            minted = mint(kind)
            texts[name] = minted.text
            values: dict[str, Any] = {"user_id": None, "app_id": None, "scopes": None, "expires_at": None}
            secret = {"handle": minted.handle, "digest": minted.digest}
            new = NewToken(
                tenant_id=tenant.id, name=name, created_by="a test", **secret, **{**values, **more}
            )
            tokens.insert(tx, new, now)

        for role in Role:
            member = people.ensure_member(tx, acme.id, f"{role}@acme.example", name="", role=role, now=now)
            issue(role.value, PERSONAL, tenant=acme, user_id=member.id)
            if role is Role.OWNER:
                issue("expired", PERSONAL, tenant=acme, user_id=member.id, expires_at=now - timedelta(1))
                issue("reading", PERSONAL, tenant=acme, user_id=member.id, scopes=frozenset({Verb.READ}))
        stranger = people.ensure_member(tx, other.id, "x@other.example", name="", role=Role.OWNER, now=now)
        issue("stranger", PERSONAL, tenant=other, user_id=stranger.id)
        issue("app-token", OF_APP, tenant=acme, app_id=made[0].id)
        issue("second-token", OF_APP, tenant=acme, app_id=made[1].id)
        hook = mint(HOOK)
        texts["hook"] = hook.text
        of_shop = NewHook(made[0].id, "a hook", "production", None, hook.handle, hook.digest, "a test")
        deploy_hooks.insert(tx, of_shop, now)
    return texts, (made[0], made[1], made[2])
