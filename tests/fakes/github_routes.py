"""The routes of the fake GitHub: each checks its request as GitHub would, then changes the world."""

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from tests.fakes.github_apps import Apps
from tests.fakes.github_asked import Asked, Reply
from tests.fakes.github_comments import CommentRoutes
from tests.fakes.github_state import Attempt, Refusal, Repository, World, choice, text, url

STATUS_STATES = {"error", "failure", "pending", "success"}
DEPLOYMENT_STATES = {"error", "failure", "inactive", "in_progress", "queued", "pending", "success"}


def paged(asked: Asked, found: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """One page of a list."""
    size, page = int(asked.query.get("per_page", "30")), int(asked.query.get("page", "1"))
    return found[size * (page - 1) : size * page]


@dataclass
class Routes:
    world: World
    base: str
    redeliver: Callable[[Attempt], None]

    def __post_init__(self) -> None:
        self.apps = Apps(self.world, Reply)

    def answer(self, asked: Asked) -> Reply:
        for method, pattern, handler in self._table():
            if (match := re.fullmatch(pattern, asked.path)) and method == asked.method:
                return handler(asked, *match.groups())
        raise Refusal(404, "Not Found")

    def _table(self) -> list[tuple[str, str, Callable[..., Reply]]]:
        repository = r"/repos/([^/]+/[^/]+)"
        return [
            *self.apps.table(),
            ("GET", "/?", self.root),
            ("GET", rf"{repository}/installation", self.installation),
            ("POST", r"/app/installations/(\d+)/access_tokens", self.mint),
            ("GET", r"/app/hook/deliveries", self.deliveries),
            ("POST", r"/app/hook/deliveries/(\d+)/attempts", self.attempt),
            ("POST", rf"{repository}/statuses/([0-9a-f]+)", self.status),
            ("GET", rf"{repository}/commits/([0-9a-f]+)/status", self.combined),
            ("GET", rf"{repository}/commits/([0-9a-f]+)/check-runs", self.check_runs),
            ("GET", rf"{repository}/deployments/(\d+)/statuses", self.deployment_statuses),
            ("GET", rf"{repository}/deployments", self.list_deployments),
            ("POST", rf"{repository}/deployments", self.deployment),
            ("POST", rf"{repository}/deployments/(\d+)/statuses", self.deployment_status),
            ("GET", rf"{repository}/pulls/(\d+)", self.pull),
            ("GET", rf"{repository}/collaborators/([^/]+)/permission", self.permission),
            *CommentRoutes(self.world, self._signed).table(),
        ]

    def root(self, _asked: Asked) -> Reply:
        return Reply(200, {})

    def installation(self, asked: Asked, name: str) -> Reply:
        self.world.check_app(asked.authorization)
        repository = self.world.repositories.get(name)
        if repository is None or repository.installation not in self.world.installations:
            raise Refusal(404, "Not Found", expected=True)
        return Reply(200, {"id": repository.installation, "app_id": 4711})

    def mint(self, asked: Asked, number: str) -> Reply:
        self.world.check_app(asked.authorization)
        installation = self.world.installations.get(int(number))
        if installation is None:
            raise Refusal(404, "Not Found", expected=True)
        return Reply(201, self.world.mint(installation, asked.body))

    def deliveries(self, asked: Asked) -> Reply:
        self.world.check_app(asked.authorization)
        size, start = int(asked.query.get("per_page", "30")), int(asked.query.get("cursor", "0"))
        newest = sorted(self.world.attempts, key=lambda one: (one.delivered_at, one.id), reverse=True)
        headers: dict[str, str] = {}
        if start + size < len(newest):
            following = f"{self.base}/app/hook/deliveries?per_page={size}&cursor={start + size}"
            headers["Link"] = f'<{following}>; rel="next"'
        return Reply(200, [one.public() for one in newest[start : start + size]], headers)

    def attempt(self, asked: Asked, number: str) -> Reply:
        self.world.check_app(asked.authorization)
        found = next((one for one in self.world.attempts if one.id == int(number)), None)
        if found is None:
            raise Refusal(404, "Not Found", expected=True)
        self.world.said.append(f"redelivery of {found.guid}")
        self.redeliver(found)
        return Reply(202, {})

    def status(self, asked: Asked, name: str, sha: str) -> Reply:
        repository = self._signed(asked, name, {"statuses": "write"})
        self._commit(repository, sha)
        body = asked.body
        state = choice(body, "state", STATUS_STATES)
        description = text(body, "description", longest=140)
        context = text(body, "context", required=True)
        url(body, "target_url")
        same = [one for one in repository.statuses if one["sha"] == sha and one["context"] == context]
        if len(same) >= 1000:
            raise Refusal(422, "This SHA and context has reached the maximum number of statuses.")
        repository.statuses.append({**body, "sha": sha, "id": self.world.number()})
        self.world.said.append(f"status {context} on {sha[:7]}: {state}, {description}")
        return Reply(201, repository.statuses[-1])

    def combined(self, asked: Asked, name: str, sha: str) -> Reply:
        repository = self._signed(asked, name, {"statuses": "read"})
        mine = [one for one in repository.statuses if one["sha"] == sha]
        latest = {one["context"].lower(): one for one in mine}
        return Reply(200, {"state": "pending", "sha": sha, "statuses": paged(asked, list(latest.values()))})

    def check_runs(self, asked: Asked, name: str, sha: str) -> Reply:
        repository = self._signed(asked, name, {"checks": "read"})
        mine = [one for one in repository.check_runs if one["head_sha"] == sha]
        latest = {one["name"]: one for one in mine}
        return Reply(200, {"total_count": len(latest), "check_runs": paged(asked, list(latest.values()))})

    def deployment_statuses(self, asked: Asked, name: str, number: str) -> Reply:
        repository = self._signed(asked, name, {"deployments": "read"})
        found = next((one for one in repository.deployments if one["id"] == int(number)), None)
        if found is None:
            raise Refusal(404, "Not Found", expected=True)
        return Reply(200, paged(asked, found["statuses"][::-1]))

    def list_deployments(self, asked: Asked, name: str) -> Reply:
        repository = self._signed(asked, name, {"deployments": "read"})
        found = [
            one
            for one in reversed(repository.deployments)
            if asked.query.get("sha", one["sha"]) == one["sha"]
            and asked.query.get("environment", one["environment"]) == one["environment"]
        ]
        return Reply(200, [{key: one[key] for key in one if key != "statuses"} for one in found])

    def deployment(self, asked: Asked, name: str) -> Reply:
        repository = self._signed(asked, name, {"deployments": "write"})
        body = asked.body
        ref = text(body, "ref", required=True)
        self._commit(repository, ref)
        if body.get("auto_merge", True) or body.get("required_contexts") != []:
            raise Refusal(409, "Conflict: auto_merge and required_contexts were left to their defaults")
        environment = text(body, "environment") or "production"
        text(body, "description", longest=140)
        made: dict[str, Any] = {**body, "id": self.world.number(), "sha": ref, "environment": environment}
        repository.deployments.append({**made, "statuses": []})
        self.world.said.append(f"deployment {made['id']} to {environment} of {ref[:7]}")
        return Reply(201, made)

    def deployment_status(self, asked: Asked, name: str, number: str) -> Reply:
        repository = self._signed(asked, name, {"deployments": "write"})
        found = next((one for one in repository.deployments if one["id"] == int(number)), None)
        if found is None:
            raise Refusal(404, "Not Found")
        body = asked.body
        state = choice(body, "state", DEPLOYMENT_STATES)
        description = text(body, "description", longest=140)
        url(body, "log_url")
        url(body, "environment_url")
        found["statuses"].append(body)
        self.world.said.append(f"deployment {number}: {state}, {description}")
        if state == "success" and body.get("auto_inactive", True):
            self._retire_others(repository, found)
        return Reply(201, {"id": self.world.number(), "state": state})

    def pull(self, asked: Asked, name: str, number: str) -> Reply:
        repository = self._signed(asked, name, {"pull_requests": "read"})
        if int(number) not in repository.pulls:
            raise Refusal(404, "Not Found", expected=True)
        return Reply(200, repository.pulls[int(number)])

    def permission(self, asked: Asked, name: str, user: str) -> Reply:
        repository = self._signed(asked, name, {"metadata": "read"})
        level = repository.collaborators.get(user, "none")
        # Nobody's own role is `maintain` in `permission` (docs.github.com/rest/collaborators).
        permission = {"maintain": "write", "triage": "read"}.get(level, level)
        return Reply(200, {"permission": permission, "role_name": level, "user": {"login": user, "id": 1}})

    def _retire_others(self, repository: Repository, live: dict[str, Any]) -> None:
        # Neither production nor transient ones, and only those that succeeded (GitHub's OpenAPI).
        for one in repository.deployments:
            same = one is not live and one["environment"] == live["environment"]
            special = one.get("production_environment") or one.get("transient_environment")
            if same and not special and any(status["state"] == "success" for status in one["statuses"]):
                one["statuses"].append({"state": "inactive", "description": "by GitHub"})

    def _signed(self, asked: Asked, name: str, needs: dict[str, str]) -> Repository:
        repository = self.world.repositories.get(name)
        if repository is None:
            raise Refusal(404, "Not Found", expected=True)
        self.world.check_token(asked.authorization, repository, needs)
        return repository

    def _commit(self, repository: Repository, sha: str) -> None:
        if repository.commits is not None and sha not in repository.commits:
            raise Refusal(422, f"No commit found for SHA: {sha}", expected=True)
