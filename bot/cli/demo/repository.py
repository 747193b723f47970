"""The demo's sample repository, as GitHub would hold it."""

import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

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
        work = self.home / "clone"
        if self.bare.exists():
            self._git("checkout", "-q", "-f", "main", cwd=work)
            return
        shutil.rmtree(self.home, ignore_errors=True)
        shutil.copytree(TEMPLATES / "demo", work)
        self._git("init", "-q", "-b", "main", cwd=work)
        self._git("init", "-q", "--bare", "-b", "main", str(self.bare), cwd=work)
        self._git("remote", "add", "origin", str(self.bare), cwd=work)

    def change(self, old: str, new: str) -> None:
        """Change what one page says."""
        page = self.home / "clone" / "site" / "index.html"
        page.write_text(page.read_text().replace(old, new))

    def commit(self, branch: str = "main") -> tuple[str, str]:
        """Commit everything and push it to a branch: the commits before and after."""
        work = self.home / "clone"
        (work / "site" / "version.txt").write_text(f"{utc_now().isoformat()}\n")
        before = self._git("rev-parse", "--verify", "-q", "HEAD", cwd=work, check=False) or "0" * 40
        self._git("add", "-A", cwd=work)
        self._git("commit", "-q", "-m", "Say that it is live", cwd=work)
        self._git("push", "-q", "origin", f"HEAD:{branch}", cwd=work)
        return before, self._git("rev-parse", "HEAD", cwd=work)

    def branch(self) -> tuple[int, str]:
        """Begin a branch at main, for a pull request: its number, the next one free, and its name."""
        number = len(self._git("for-each-ref", "refs/pull", cwd=self.bare).splitlines()) + 1
        self._git("checkout", "-q", "-B", name := f"change-{number}", "main", cwd=self.home / "clone")
        return number, name

    def propose(self, number: int, sha: str) -> None:
        """Let a pull request's head be a commit, where GitHub keeps it."""
        self._git("update-ref", f"refs/pull/{number}/head", sha, cwd=self.bare)

    def merge(self, branch: str) -> tuple[str, str]:
        """Merge a branch into main, and remove it: main's commits before and after."""
        work = self.home / "clone"
        self._git("checkout", "-q", "main", cwd=work)
        before = self._git("rev-parse", "HEAD", cwd=work)
        self._git("merge", "-q", "--no-ff", "-m", f"Merge {branch}", branch, cwd=work)
        self._git("push", "-q", "origin", "main", f":{branch}", cwd=work)
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
