"""An instance in surroundings that fail: what it should come through, and a git server that can hang."""

import subprocess
import threading
from collections.abc import Generator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import httpx

from bot.clock import utc_now
from bot.domain.deployment import Deployment, State
from bot.domain.ids import AppId, DeploymentId, Sha
from bot.store import deliveries
from bot.store.engine import reading
from tests.fakes import payloads
from tests.fakes.github import STATIC_TOKEN, FakeGitHub
from tests.fakes.repository import Repository
from tests.running import Slipway
from tests.waiting import wait_until

SECONDS = 90
RECIPE = '[build]\ncommand = "sh build.sh"\noutput = "out"\n'
BUILD = """\
sleep {seconds}
mkdir out
head -c {size} /dev/urandom > out/large || exit 1
echo text {number} > out/index.html
"""


@dataclass
class Place:
    """An instance whose home is a small disk of its own, that tells a GitHub, with one app that is live."""

    slipway: Slipway
    github: FakeGitHub
    repository: Repository
    disk: Path
    app: AppId = field(init=False)
    sha: Sha = field(init=False)
    number: int = 0

    def __post_init__(self) -> None:
        self.app = self.slipway.create_app(self.repository, "shop")
        self.commit()
        assert self.slipway.deploy("shop", self.sha).state is State.SUCCEEDED

    def commit(self, *, size: int = 100, seconds: float = 0) -> Sha:
        self.number += 1
        script = BUILD.format(seconds=seconds, size=size, number=self.number)
        self.sha = self.repository.commit({"slipway.toml": RECIPE, "build.sh": script}, f"Text {self.number}")
        return self.sha

    def push(self, **options: Any) -> DeploymentId:
        sha = self.commit(**options)
        return self.slipway.deployment_of(self.slipway.push("shop", sha), SECONDS).id

    def send(self, guid: str, more: str = "") -> httpx.Response:
        """Deliver a push of the newest commit, of any size."""
        payload = payloads.push(
            repository="acme/shop",
            repository_id=int.from_bytes(b"shop", "big"),
            ref="refs/heads/main",
            before="0" * 40,
            after=self.sha,
            message=more,
        )
        return self.slipway.deliver("push", payload, guid)

    def is_stored(self, guid: str) -> bool:
        with reading(self.slipway.engine) as tx:
            return bool(deliveries.by_guid(tx, guid))

    def told(self, sha: Sha) -> list[dict[str, Any]]:
        statuses = self.github.world.repositories["acme/shop"].statuses
        return [one for one in statuses if one["sha"] == sha]

    def page(self) -> str:
        return self.slipway.get(self.slipway.hostname(self.app)).text

    def shows(self, number: int) -> bool:
        return self.page() == f"text {number}\n"

    def waits_for(self, deployment: DeploymentId, words: str) -> Deployment:
        """The deployment once it says that it waits, and what for; GitHub is told so, too."""

        def waiting() -> Deployment | None:
            found = self.slipway.deployment(deployment)
            assert not found.state.is_final, f"{found.reason}\n{self.slipway.log.read_text()[-4000:]}"
            return found if found.state is State.QUEUED and words in found.reason else None

        return wait_until(waiting, SECONDS, f"{deployment} to wait: {words}")

    def went_live(self, deployment: DeploymentId, number: int) -> Deployment:
        """The deployment's end: live, the only one in its environment, GitHub told, nothing lies about."""
        slipway = self.slipway
        ended = slipway.ended(deployment, SECONDS)
        assert ended.state is State.SUCCEEDED, f"{ended.reason}\n{slipway.log.read_text()[-4000:]}"
        assert self.shows(number)
        last = lambda: [one["state"] for one in self.told(ended.sha)][-1:]  # noqa: E731
        wait_until(lambda: last() == ["success"], SECONDS, "GitHub to be told")
        wait_until(self.is_well, SECONDS, "the doctor to find nothing")
        wait_until(self.is_tidy, SECONDS, "nothing to lie about")
        return ended

    def is_well(self) -> bool:
        with suppress(AssertionError):
            return "error" not in self.doctor()
        return False

    def is_tidy(self) -> bool:
        work = self.slipway.home / "work"
        with reading(self.slipway.engine) as tx:
            undecided = deliveries.undecided(tx, utc_now(), 10)
        return not undecided and list(work.iterdir()) == []

    def doctor(self, code: int = 0) -> str:
        return self.slipway.run("doctor", code=code)


@contextmanager
def telling() -> Generator[tuple[FakeGitHub, dict[str, str]]]:
    with FakeGitHub().running() as github:
        github.add_token()
        github.add_repository("acme/shop", int.from_bytes(b"shop", "big"))
        yield (
            github,
            {
                "SLIPWAY_GITHUB_API_URL": github.url,
                "SLIPWAY_GITHUB_TOKEN": STATIC_TOKEN,
                "SLIPWAY_GITHUB_WRITES_PER_MINUTE": "10000",
                "SLIPWAY_GITHUB_WRITES_PER_HOUR": "10000",
                "SLIPWAY_OUTGOING_NETWORKS": "127.0.0.1",
            },
        )


class GitServer:
    """Serves a repository over HTTP; while it hangs, it takes connections and never says a word."""

    def __init__(self, repository: Repository) -> None:
        hanging = self.hanging = threading.Event()
        ended = self._ended = threading.Event()

        class Handler(SimpleHTTPRequestHandler):
            def handle(self) -> None:
                while hanging.is_set() and not ended.wait(0.05):
                    pass
                with suppress(OSError):
                    super().handle()

            def log_message(self, format: str, *args: Any) -> None:  # noqa: A002
                pass

        subprocess.run(["git", "update-server-info"], cwd=repository.path, check=True)
        self._http = ThreadingHTTPServer(
            ("127.0.0.1", 0), partial(Handler, directory=str(repository.path.parent))
        )
        self.port = self._http.server_port

    def refresh(self, repository: Repository) -> None:
        subprocess.run(["git", "update-server-info"], cwd=repository.path, check=True)

    @contextmanager
    def running(self) -> Generator["GitServer"]:
        thread = threading.Thread(target=self._http.serve_forever, kwargs={"poll_interval": 0.05})
        thread.start()
        try:
            yield self
        finally:
            self._ended.set()
            self._http.shutdown()
            thread.join()
            self._http.server_close()


def register(slipway: Slipway, slug: str, clone_url: str) -> None:
    slipway.run("app", "create", "--repository", f"acme/{slug}", "--clone-url", clone_url, "--slug", slug)
