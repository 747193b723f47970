"""A whole running Slipway, as `slipway up` starts it, and the two ends that tests touch."""

import hashlib
import hmac
import json
import os
import signal
import socket
import subprocess
import uuid
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import httpx
import psutil

from bot.clock import utc_now
from bot.domain.deployment import Deployment
from bot.domain.ids import AppId, DeploymentId, is_sha
from bot.lifecycle import Lifecycle
from bot.queue import Queue, connect
from bot.settings import Settings
from bot.store import apps, deliveries, deployments, environments
from bot.store.deliveries import StoredDecision
from bot.store.deployments import Event
from bot.store.engine import Engine, Tx, open_engine, reading
from tests import command
from tests.fakes import payloads
from tests.fakes.repository import Repository
from tests.waiting import wait_until

SECRET = "a webhook secret"


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


@dataclass
class Slipway:
    """One instance in a home of its own."""

    home: Path
    options: Mapping[str, str] = field(default_factory=dict[str, str])
    process: subprocess.Popen[str] | None = None
    wrapper: Sequence[str] = ()
    """A command that `up` is run by, such as one that gives it a view of its own of the machine."""

    def __post_init__(self) -> None:
        self.environment = {
            **{name: value for name, value in os.environ.items() if not name.startswith("SLIPWAY_")},
            "SLIPWAY_HOME": str(self.home),
            "SLIPWAY_WEB_ADDRESS": f"127.0.0.1:{free_port()}",
            "SLIPWAY_EDGE_ADDRESS": f"127.0.0.1:{free_port()}",
            "SLIPWAY_GITHUB_WEBHOOK_SECRET": SECRET,
            "SLIPWAY_SWEEP_SECONDS": "0.5",
            **self.options,
        }
        own = {name.removeprefix("SLIPWAY_").lower(): value for name, value in self.environment.items()}
        self.settings = Settings.model_validate(
            {name: own[name] for name in Settings.model_fields if name in own}
        )

    @cached_property
    def engine(self) -> Engine:
        """The instance's store."""
        return open_engine(self.settings.database)

    @cached_property
    def web(self) -> httpx.Client:
        """A client of the web process; one for all, since each reads all certificates of the machine."""
        url = f"http://{self.settings.web_address}"
        return httpx.Client(base_url=url, timeout=10, trust_env=False, verify=False)

    def up(self) -> "Slipway":
        """Start everything; its log is `up.log` in the home's parent."""
        with self.log.open("a") as log:
            self.process = subprocess.Popen(
                [*self.wrapper, *command.CLI, "up", "--json"],
                env=self.environment,
                stdout=subprocess.PIPE,
                stderr=log,
                text=True,
                start_new_session=True,
            )
        assert self.process.stdout is not None
        ready = self.process.stdout.readline()
        assert ready, self.log.read_text()
        assert json.loads(ready)["ready"] is True
        return self

    @property
    def log(self) -> Path:
        return self.home.parent / f"{self.home.name}.up.log"

    def down(self, number: signal.Signals = signal.SIGINT) -> int:
        """Stop everything as Ctrl-C does; the exit code."""
        assert self.process is not None
        self.__dict__.pop("web", self.web).close()
        self.process.send_signal(number)
        code = self.process.wait(timeout=15)
        assert self.process.stdout is not None
        self.process.stdout.close()
        self.process = None
        return code

    def run(self, *words: str, code: int = 0) -> str:
        """Run a command of the command line; what it printed."""
        done = command.run(words, self.environment)
        assert done.returncode == code, f"{words}: exit {done.returncode}\n{done.stdout}\n{done.stderr}"
        return done.stdout if code == 0 else done.stdout + done.stderr

    def create_app(self, repository: Repository, slug: str, **options: str) -> AppId:
        """Register an app for a repository."""
        words = [word for name, value in options.items() for word in (f"--{name.replace('_', '-')}", value)]
        self.run(
            "app",
            "create",
            "--repository",
            f"acme/{slug}",
            "--clone-url",
            repository.url,
            "--slug",
            slug,
            *words,
        )
        with reading(self.engine) as tx:
            app = apps.by_slug(tx, slug)
        assert app is not None
        return app.id

    def deliver(self, event: str, payload: dict[str, Any], guid: str | None = None) -> httpx.Response:
        """Deliver an event, signed as GitHub signs it."""
        body = json.dumps(payload).encode()
        signature = hmac.new(SECRET.encode(), body, hashlib.sha256).hexdigest()
        headers = {
            "Content-Type": "application/json",
            "X-GitHub-Event": event,
            "X-GitHub-Delivery": guid or str(uuid.uuid4()),
            "X-GitHub-Hook-ID": "7",
            "X-Hub-Signature-256": f"sha256={signature}",
        }
        return self.web.post("/webhooks/github", content=body, headers=headers)

    def push(
        self, slug: str, after: str, *, before: str = "0" * 40, branch: str = "main", **more: Any
    ) -> str:
        """Deliver a push; its GUID."""
        assert is_sha(after)
        guid = str(uuid.uuid4())
        payload = payloads.push(
            repository=f"acme/{slug}",
            repository_id=int.from_bytes(slug.encode()[-6:], "big"),
            ref=f"refs/heads/{branch}",
            before=before,
            after=after,
            **more,
        )
        answer = self.deliver("push", payload, guid)
        assert answer.status_code == 202, answer.text
        return guid

    def decisions_of(self, guid: str, seconds: float = 20) -> list[StoredDecision]:
        """What was decided about a delivery, once it was."""

        def decided() -> list[StoredDecision]:
            with reading(self.engine) as tx:
                return _decisions(tx, guid)

        return wait_until(decided, seconds, f"a decision about delivery {guid}")

    def deployment_of(self, guid: str, seconds: float = 20) -> Deployment:
        """The deployment that a delivery led to."""

        def found() -> Deployment | None:
            with reading(self.engine) as tx:
                # The sweep may have found the commit first: then the delivery leads to what there is.
                decided = _decisions(tx, guid)
                made = [number for one in decided for number in one.facts.get("deployments", [])]
                return deployments.find(tx, DeploymentId(made[0])) if made else None

        return wait_until(found, seconds, f"a deployment of delivery {guid}")

    def ended(self, deployment: DeploymentId, seconds: float = 60) -> Deployment:
        """The deployment once it has its last word."""

        def final() -> Deployment | None:
            found = self.deployment(deployment)
            return found if found.state.is_final else None

        return wait_until(final, seconds, f"the end of {deployment}")

    def deploy(self, slug: str, after: str, **more: Any) -> Deployment:
        """Push, and wait for the end of its deployment."""
        return self.ended(self.deployment_of(self.push(slug, after, **more)).id)

    def deployment(self, deployment: DeploymentId) -> Deployment:
        """A deployment as the store has it."""
        with reading(self.engine) as tx:
            return deployments.get(tx, deployment)

    def deployments(self, app: AppId) -> list[Deployment]:
        """An app's deployments, newest first."""
        with reading(self.engine) as tx:
            return deployments.latest(tx, 2000, app)

    def events(self, deployment: DeploymentId) -> list[Event]:
        """What happened to a deployment."""
        with reading(self.engine) as tx:
            return deployments.events(tx, deployment)

    def rollback(self, app: AppId) -> Deployment:
        """Roll production back by one release, without the cost of a command's start; its end."""
        queue = Queue(connect(self.settings.redis))
        lifecycle = Lifecycle(self.engine, queue, preview_domain=self.settings.preview_domain)
        with lifecycle.change() as change:
            found = apps.get(change.tx, app)
            made = lifecycle.rollback(change, found, "production", word=None, by="a test")
        return self.ended(made.id)

    def undecided(self) -> int:
        """How many deliveries wait for a decision."""
        with reading(self.engine) as tx:
            return len(deliveries.undecided(tx, utc_now(), 1000))

    def unannounced(self) -> int:
        """Of how many deployments GitHub is owed something."""
        with reading(self.engine) as tx:
            return len(deployments.owed(tx, 1000))

    def hostname(self, app: AppId, environment: str = "production") -> str:
        with reading(self.engine) as tx:
            found = environments.by_name(tx, app, environment)
        assert found is not None
        return found.hostname

    def visitor(self, hostname: str) -> httpx.Client:
        """A visitor of a site, through the edge."""
        return httpx.Client(
            base_url=f"http://127.0.0.1:{self.settings.edge_port}",
            headers={"Host": hostname},
            timeout=10,
            trust_env=False,
            verify=False,
        )

    def release_at(self, hostname: str) -> str | None:
        """The number of the release that a hostname shows; an answer to HEAD always tells it."""
        with self.visitor(hostname) as client:
            return client.head("/").headers.get("X-Slipway-Release")

    def get(self, hostname: str, path: str = "/") -> httpx.Response:
        with self.visitor(hostname) as client:
            return client.get(path)

    def log_of(self, deployment: DeploymentId) -> str:
        return self.run("logs", f"DEP-{deployment}")

    def processes(self) -> list[psutil.Process]:
        """Every process of the tree, at this moment."""
        assert self.process is not None
        return psutil.Process(self.process.pid).children(recursive=True)

    def find(self, word: str) -> list[psutil.Process]:
        """Processes of the tree that have a word in their command line, parents first."""
        return [one for one in self.processes() if any(word in part for part in _words(one))]


def _decisions(tx: Tx, guid: str) -> list[StoredDecision]:
    return [made for one in deliveries.by_guid(tx, guid) for made in deliveries.decisions_of(tx, one.id)]


def alive(processes: Iterable[psutil.Process]) -> list[psutil.Process]:
    """Those that still run. One that waits for its parent to ask for its end does not run any more."""
    return [one for one in processes if _status(one) not in (None, psutil.STATUS_ZOMBIE)]


def _status(process: psutil.Process) -> str | None:
    try:
        return process.status() if process.is_running() else None
    except psutil.NoSuchProcess:
        # It ended between the two questions.
        return None


def _words(process: psutil.Process) -> list[str]:
    try:
        return process.cmdline()
    except psutil.Error:
        return []
