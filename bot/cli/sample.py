"""The demo's sample repository and its visitor."""

import shutil
import subprocess
import threading
from dataclasses import dataclass, field
from pathlib import Path

import httpx

from bot.clock import utc_now
from bot.render import TEMPLATES


@dataclass(frozen=True)
class SampleRepository:
    """A bare repository with a site, as GitHub would hold it, and a clone to commit in."""

    home: Path

    @property
    def bare(self) -> Path:
        """The repository that is deployed."""
        return self.home / "site.git"

    def make(self) -> None:
        """Make the repository, unless an earlier demo did."""
        if self.bare.exists():
            return
        work = self.home / "clone"
        shutil.rmtree(self.home, ignore_errors=True)
        shutil.copytree(TEMPLATES / "demo", work)
        self._git("init", "-q", "-b", "main", cwd=work)
        self._git("init", "-q", "--bare", "-b", "main", str(self.bare), cwd=work)
        self._git("remote", "add", "origin", str(self.bare), cwd=work)

    def change(self) -> None:
        """Change one page."""
        page = self.home / "clone" / "site" / "index.html"
        page.write_text(page.read_text().replace("It is live.", "It is live, again."))

    def commit(self) -> tuple[str, str]:
        """Commit everything and push it: the commits before and after."""
        work = self.home / "clone"
        (work / "site" / "version.txt").write_text(f"{utc_now().isoformat()}\n")
        before = self._git("rev-parse", "--verify", "-q", "HEAD", cwd=work, check=False) or "0" * 40
        self._git("add", "-A", cwd=work)
        self._git("commit", "-q", "-m", "Say that it is live", cwd=work)
        self._git("push", "-q", "origin", "main", cwd=work)
        return before, self._git("rev-parse", "HEAD", cwd=work)

    def _git(self, *words: str, cwd: Path, check: bool = True) -> str:
        who = [
            "-c",
            "user.name=Slipway demo",
            "-c",
            "user.email=demo@localhost",
            "-c",
            "commit.gpgsign=false",
        ]
        done = subprocess.run(["git", *who, *words], cwd=cwd, check=check, capture_output=True, text=True)
        return done.stdout.strip()


@dataclass
class Visitor:
    """Asks the site without pause, in a thread, for as long as it is entered."""

    url: str
    hostname: str
    requests: int = 0
    failed: int = 0
    seen: set[bytes] = field(default_factory=set[bytes])
    _ended: threading.Event = field(default_factory=threading.Event)

    def __enter__(self) -> None:
        self._thread = threading.Thread(target=self._ask)
        self._thread.start()

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        self._thread.join()

    def _ask(self) -> None:
        with site_client(self.url, self.hostname) as client:
            while not self._ended.is_set():
                self.requests += 1
                try:
                    answer = client.get("/")
                except httpx.HTTPError:
                    self.failed += 1
                    continue
                self.failed += answer.status_code != 200
                self.seen.add(answer.content)


def site_client(url: str, hostname: str) -> httpx.Client:
    """A client that asks the edge at a URL for a site by its hostname, without any name server."""
    return httpx.Client(base_url=url, headers={"Host": hostname}, trust_env=False)
