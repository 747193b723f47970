"""The page of one deployment: where it stands, its steps, its log."""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from typing import Any

from redis.exceptions import RedisError
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response, StreamingResponse

from bot import trusting
from bot.approvals import is_held
from bot.console.clerk import Clerk
from bot.console.failure import explain
from bot.console.log_view import lines_html
from bot.console.pages import HEADERS, Pages
from bot.console.visitor import visitor
from bot.domain.app import App
from bot.domain.deployment import Deployment, State
from bot.domain.environment import Environment
from bot.domain.ids import DeploymentId, parse_reference, reference
from bot.domain.release import Release
from bot.domain.trust import Trust
from bot.logs import Line, LogReader
from bot.store import apps, deployments, environments, releases, steps
from bot.store.deployments import Event
from bot.store.engine import Engine, reading
from bot.store.steps import Step

LINES = 2000
"""Lines of the log on one page."""
_BATCH = 2000


@dataclass(frozen=True)
class Facts:
    """What the page shows of a deployment; steps newest first."""

    deployment: Deployment
    events: list[Event]
    app: App
    environment: Environment
    release: Release | None
    steps: list[Step]
    is_strangers: bool


class DeploymentPages:
    """`/deployments/{deployment}` and what belongs to it."""

    def __init__(self, engine: Engine, pages: Pages, logs: LogReader, clerk: Clerk) -> None:
        self._engine = engine
        self._clerk = clerk
        self._pages = pages
        self._logs = logs

    async def show(self, request: Request) -> Response:
        """The page; `?after=` pages through the log."""
        if (named := _named(request)) is None:
            return self._pages.problem(404)
        if request.path_params["deployment"] != reference(named):
            return RedirectResponse(f"/deployments/{reference(named)}", 307)
        after = request.query_params.get("after", "")
        line = int(after) if after.isascii() and after.isdigit() and len(after) <= 15 else None
        return await run_in_threadpool(self._page, named, line)

    async def standing(self, request: Request) -> Response:
        """The part of the page above the log, for the script that keeps it up to date."""
        named = _named(request)
        return await run_in_threadpool(self._standing, named) if named else self._pages.problem(404)

    async def download(self, request: Request) -> Response:
        """The whole log as text."""
        named = _named(request)
        if named is None or await run_in_threadpool(self._facts, named) is None:
            return self._pages.problem(404)
        name = f"{reference(named)}.txt"
        headers = {**HEADERS, "Content-Disposition": f'inline; filename="{name}"'}
        return StreamingResponse(self._text(named), media_type="text/plain", headers=headers)

    def _page(self, named: DeploymentId, after: int | None) -> Response:
        facts = self._facts(named)
        if facts is None:
            return self._pages.problem(404)
        lines, readable = self._lines(named, after)
        last = lines[-1].n if lines else after or 0
        return self._pages.show(
            "deployment.html",
            **self._shown(facts),
            log=lines_html(lines),
            first=lines[0].n if lines else 0,
            last=last,
            full=len(lines) == LINES,
            newest=after is None,
            readable=readable,
            page_size=LINES,
        )

    def _standing(self, named: DeploymentId) -> Response:
        facts = self._facts(named)
        if facts is None:
            return self._pages.problem(404)
        return self._pages.show("_standing.html", **self._shown(facts))

    def _shown(self, facts: Facts) -> dict[str, Any]:
        one, failure = facts.deployment, facts.deployment.failure
        turn = None
        if one.state is State.QUEUED:
            turn = self._clerk.read("getDeployment", {"deployment": reference(one.id)}).queue
        return {
            "deployment": one,
            "origin": facts.events[0].reason,
            "app": facts.app,
            "environment": facts.environment,
            "release": facts.release,
            "steps": facts.steps,
            "failure": explain(failure) if failure else None,
            "is_live": facts.environment.active_deployment_id == one.id,
            "turn": turn,
            "waits_for_word": is_held(one),
            "is_strangers": facts.is_strangers,
            "ran_as_strangers": facts.is_strangers and one.started_at is not None,
        }

    def _facts(self, named: DeploymentId) -> Facts | None:
        with reading(self._engine) as tx:
            deployment = deployments.find(tx, named)
            if deployment is None:
                return None
            app, release = apps.get(tx, deployment.app_id), deployment.release_id
            if not visitor().sees(app.tenant_id):
                return None
            return Facts(
                deployment,
                deployments.events(tx, named),
                app,
                environments.get(tx, deployment.environment_id),
                releases.get(tx, release) if release is not None else None,
                steps.of_deployment(tx, named)[::-1],
                trusting.of_deployment(tx, deployment) is Trust.STRANGER,
            )

    def _lines(self, named: DeploymentId, after: int | None) -> tuple[list[Line], bool]:
        try:
            if after is None:
                return self._logs.tail(named, LINES), True
            return self._logs.page(named, after, LINES), True
        except RedisError:
            return [], False

    def _text(self, named: DeploymentId) -> Iterator[bytes]:
        lines = self._logs.lines(named)
        while batch := list(islice(lines, _BATCH)):
            text = (f"{line.at} {line.step:<8} {line.text}\n" for line in batch)
            yield "".join(text).encode()


def _named(request: Request) -> DeploymentId | None:
    return parse_reference(request.path_params["deployment"])
