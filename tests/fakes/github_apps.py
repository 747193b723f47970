"""The part of the fake GitHub that makes Apps, and shows installations, repositories and their heads."""

import ipaddress
import json
import secrets
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from tests.fakes.github_state import Refusal, World
from tests.fakes.repository import Repository

if TYPE_CHECKING:
    from tests.fakes.github_routes import Asked, Reply

# Which permission an event asks for (GitHub's OpenAPI description of webhooks).
NEEDS = {
    "push": "contents",
    "pull_request": "pull_requests",
    "issue_comment": "issues",
    "check_run": "checks",
    "check_suite": "checks",
    "status": "statuses",
    "repository": "metadata",
}


@dataclass
class Apps:
    """What there is: codes of Apps that were made, work of git behind repositories, pull requests."""

    world: World
    reply: Callable[..., "Reply"]
    clone_base: str = "https://github.com"
    codes: set[str] = field(default_factory=set[str])
    hook: dict[str, Any] = field(default_factory=dict[str, Any])
    webhook_secret: str | None = "made by GitHub"
    git: dict[str, Repository] = field(default_factory=dict[str, Repository])
    pulls: dict[str, list[dict[str, Any]]] = field(default_factory=dict[str, list[dict[str, Any]]])
    accounts: dict[int, str] = field(default_factory=dict[int, str])

    def submit(self, manifest: Mapping[str, Any]) -> str:
        """Make an App as the page for manifests does; the code that GitHub redirects with."""
        for name in ("name", "url", "redirect_url", "default_permissions"):
            if not manifest.get(name):
                raise Refusal(422, f'"{name}" wasn\'t supplied')
        hook = manifest.get("hook_attributes")
        if hook is not None and not hook.get("url"):
            raise Refusal(422, '"url" wasn\'t supplied')
        if hook is not None and not _is_public(hook["url"]):
            raise Refusal(
                422, "Hook url is not supported because it isn't reachable over the public Internet"
            )
        for event in manifest.get("default_events", []):
            if event not in NEEDS or NEEDS[event] not in manifest["default_permissions"]:
                raise Refusal(422, f"Default events are not supported by permissions: {event}")
        if len(manifest["name"]) > 34:
            raise Refusal(422, "Name is too long (maximum is 34 characters)")
        code = secrets.token_hex(20)
        self.codes.add(code)
        return code

    def table(self) -> list[tuple[str, str, Callable[..., "Reply"]]]:
        repository = r"/repos/([^/]+/[^/]+)"
        return [
            ("POST", r"/app-manifests/([^/]+)/conversions", self.convert),
            ("PATCH", r"/app/hook/config", self.configure),
            ("GET", r"/app/installations", self.installations),
            ("GET", r"/installation/repositories", self.repositories),
            ("GET", r"/repositories/(\d+)", self.by_id),
            ("GET", repository, self.repository),
            ("GET", rf"{repository}/branches/(.+)", self.branch),
            ("GET", rf"{repository}/pulls", self.list_pulls),
        ]

    def convert(self, _asked: "Asked", code: str) -> "Reply":
        if code not in self.codes:
            raise Refusal(404, "Not Found", expected=True)
        self.codes.remove(code)
        made = {
            "id": int(self.world.app_id),
            "slug": "slipway-test",
            "name": "Slipway test",
            "html_url": "https://github.com/apps/slipway-test",
            "client_id": "Iv1.abc",
            "client_secret": "a client secret",
            "webhook_secret": self.webhook_secret,
            "pem": self.world.pem,
            "owner": {"login": "acme"},
        }
        return self.reply(201, made)

    def configure(self, asked: "Asked") -> "Reply":
        self.world.check_app(asked.authorization)
        self.hook = asked.body
        return self.reply(200, {})

    def installations(self, asked: "Asked") -> "Reply":
        self.world.check_app(asked.authorization)
        found = [
            {
                "id": one.id,
                "account": {"login": self.accounts.get(one.id, "acme")},
                "html_url": f"https://github.com/settings/installations/{one.id}",
                "suspended_at": "2026-01-01T00:00:00Z" if one.suspended else None,
            }
            for one in self.world.installations.values()
        ]
        return self.reply(200, found)

    def repositories(self, asked: "Asked") -> "Reply":
        token = self.world.tokens.get(asked.authorization.partition(" ")[2])
        if token is None:
            raise Refusal(401, "Bad credentials")
        mine = [one for one in self.world.repositories.values() if one.installation == token.installation]
        start = (int(asked.query["page"]) - 1) * int(asked.query["per_page"])
        some = mine[start : start + int(asked.query["per_page"])]
        more = {"Link": '<https://api.github.com/next>; rel="next"'} if start + len(some) < len(mine) else {}
        shown = [self.shown(one.full_name) for one in some]
        return self.reply(200, {"total_count": len(mine), "repositories": shown}, more)

    def by_id(self, asked: "Asked", number: str) -> "Reply":
        names = [one.full_name for one in self.world.repositories.values() if one.id == int(number)]
        return self.repository(asked, names[0] if names else "")

    def repository(self, asked: "Asked", name: str) -> "Reply":
        self._signed(asked, name, {"metadata": "read"})
        return self.reply(200, self.shown(name))

    def branch(self, asked: "Asked", name: str, branch: str) -> "Reply":
        self._signed(asked, name, {"contents": "read"})
        sha = self.git[name].head(branch)
        if sha is None:
            raise Refusal(404, "Branch not found", expected=True)
        text = {"message": self.git[name].message(sha), "author": {"name": "Mona"}}
        return self.reply(
            200, {"name": branch, "commit": {"sha": sha, "commit": text, "author": {"login": "mona"}}}
        )

    def list_pulls(self, asked: "Asked", name: str) -> "Reply":
        self._signed(asked, name, {"pull_requests": "read"})
        found = [one for one in self.pulls.get(name, []) if asked.query["state"] in ("all", one["state"])]
        return self.reply(200, sorted(found, key=lambda one: one["updated_at"], reverse=True))

    def shown(self, name: str) -> dict[str, Any]:
        return {
            "id": self.world.repositories[name].id,
            "full_name": name,
            "clone_url": f"{self.clone_base}/{name}.git",
            "default_branch": "main",
            "private": self.world.repositories[name].private,
            "archived": self.world.repositories[name].archived,
        }

    def pull(self, name: str, number: int, sha: str, **changes: Any) -> dict[str, Any]:
        """Open or change a pull request."""
        known = self.pulls.setdefault(name, [])
        found: dict[str, Any] | None = next((one for one in known if one["number"] == number), None)
        now = datetime.now(UTC).isoformat().replace("+00:00", "Z")
        if found is None:
            found = {
                "number": number,
                "state": "open",
                "title": f"Change {number}",
                "draft": False,
                "labels": [],
                "merged_at": None,
                "created_at": now,
                "user": {"login": "mona"},
                "base": {"ref": "main", "sha": "0" * 40, "repo": self.shown(name)},
            }
            known.append(found)
            self.world.repositories[name].pulls[number] = found
        found |= {"head": {"ref": f"change-{number}", "sha": sha, "repo": self.shown(name)}, **changes}
        found["updated_at"] = now
        return json.loads(json.dumps(found))

    def _signed(self, asked: "Asked", name: str, needs: dict[str, str]) -> None:
        repository = self.world.repositories.get(name)
        if repository is None:
            raise Refusal(404, "Not Found", expected=True)
        self.world.check_token(asked.authorization, repository, needs)


def _is_public(url: str) -> bool:
    host = urlsplit(url).hostname or ""
    try:
        return ipaddress.ip_address(host).is_global
    except ValueError:
        return "." in host and not host.endswith(".localhost")
