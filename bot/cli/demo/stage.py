"""What every act of the demo does: deliver an event as GitHub does, and follow what becomes of it."""

import json
import time
import uuid
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeVar

import httpx
from rich.console import Console

from bot import signature
from bot.cli.demo.repository import SampleRepository
from bot.cli.demo.visitor import site_client
from bot.cli.instance import Instance
from bot.domain.deployment import Deployment, State
from bot.domain.ids import DeploymentId, reference
from bot.errors import ErrorCode, PlatformError
from bot.keys import webhook_secrets
from bot.logs import LogReader
from bot.queue import connect
from bot.store import deliveries, deployments
from bot.store.engine import reading

T = TypeVar("T")
_SECONDS = 120.0


@dataclass(frozen=True)
class Stage:
    """A running instance, the sample repository, and where the demo tells its tale."""

    console: Console
    instance: Instance
    repository: SampleRepository

    def deliver(self, event: str, payload: dict[str, Any]) -> str:
        """Sign an event and post it to the webhook: its GUID. Raises `PlatformError` when it is refused."""
        guid = str(uuid.uuid4())
        body = json.dumps(payload).encode()
        settings = self.instance.settings
        headers = {
            "Content-Type": "application/json",
            "X-GitHub-Event": event,
            "X-GitHub-Delivery": guid,
            "X-GitHub-Hook-ID": "1",
            "X-Hub-Signature-256": signature.sign(body, webhook_secrets(settings)[0]).decode(),
        }
        url = f"{settings.web_url}/webhooks/github"
        answer = httpx.post(url, content=body, headers=headers, timeout=10, trust_env=False)
        expect(answer.status_code == 202, f"the webhook answered {answer.status_code}: {answer.text}")
        return guid

    def deployed(self, guid: str) -> Deployment:
        """Follow the deployment that a delivery led to, and its log, to its success."""
        deployment = wait(lambda: self._made_by(guid), "the delivery to become a deployment")
        self.console.print(f"[bold]{reference(deployment.id)}[/] {deployment.reason}")
        settings = self.instance.settings
        reader = LogReader(settings.home, connect(settings.redis))
        for line in reader.follow(deployment.id, ended=lambda: self._final(deployment) is not None):
            self.console.print(f"  {line.step:<9} {line.text}", markup=False)
        ended = wait(lambda: self._final(deployment), f"{reference(deployment.id)} to end")
        expect(
            ended.state is State.SUCCEEDED,
            f"{reference(deployment.id)} ended as {ended.state}: {ended.reason}",
        )
        return ended

    def page(self, hostname: str) -> httpx.Response:
        """A site's start page."""
        with site_client(self.instance.settings.edge_url, hostname) as client:
            return client.get("/")

    def _made_by(self, guid: str) -> Deployment | None:
        with reading(self.instance.engine) as tx:
            # By the decision: the sweep may have found the commit first, and then this delivery adds nothing.
            found = deliveries.by_guid(tx, guid)
            decided = [one for delivery in found for one in deliveries.decisions_of(tx, delivery.id)]
            made = [number for one in decided for number in one.facts.get("deployments", [])]
            return deployments.find(tx, DeploymentId(made[0])) if made else None

    def _final(self, deployment: Deployment) -> Deployment | None:
        with reading(self.instance.engine) as tx:
            found = deployments.get(tx, deployment.id)
        return found if found.state.is_final else None


def wait(probe: Callable[[], T | None], what: str) -> T:
    """What a probe finds. Raises `PlatformError` when it finds nothing for two minutes."""
    deadline = time.monotonic() + _SECONDS
    while (found := probe()) is None:
        expect(time.monotonic() < deadline, f"waited in vain for {what}")
        time.sleep(0.05)
    return found


def expect(truth: bool, reason: str) -> None:
    """Raises `PlatformError` with the reason unless it is true."""
    if not truth:
        raise PlatformError(ErrorCode.START_REFUSED, reason=reason)
