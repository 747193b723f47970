"""A look at a repository's newest commit, fetched alone: no history, no mirror, nothing left behind."""

import tempfile
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from bot.domain.app import App
from bot.domain.ids import Sha
from jobs.git.command import Git
from jobs.git.mirrors import Mirrors

GLANCE_SECONDS = 120


@dataclass(frozen=True)
class Glance:
    """The newest commit of a branch, and its files. Paths are relative to the repository's top."""

    sha: Sha
    message: str
    names: tuple[str, ...]
    git: Git
    folder: Path

    def read(self, path: str, max_bytes: int) -> bytes | None:
        """A file's content; None when there is no such file, it is a link, or it is larger than that."""
        entry = self.git.must([f"--git-dir={self.folder}", "ls-tree", "-z", "-l", self.sha, "--", path])
        words = entry.partition(b"\t")[0].split()
        is_file = len(words) == 4 and words[0] in (b"100644", b"100755")
        if not is_file or int(words[3]) > max_bytes:
            return None
        return self.git.must([f"--git-dir={self.folder}", "cat-file", "blob", words[2].decode()])


@contextmanager
def glance(mirrors: Mirrors, app: App, branch: str) -> Generator[Glance]:
    """Look at the head of a branch of an app's repository.

    Raises `UserError` BRANCH_GONE or REPOSITORY_UNREACHABLE.
    """
    sha = mirrors.newest_head(app, branch)
    git = mirrors.git
    with tempfile.TemporaryDirectory(prefix="glance-", dir=mirrors.home, ignore_cleanup_errors=True) as path:
        folder = Path(path)
        git.must(["init", "--quiet", "--bare", "--template=", path])
        mirrors.fetch_alone(app, folder, sha, GLANCE_SECONDS)
        at = f"--git-dir={folder}"
        listed = git.must([at, "ls-tree", "-r", "-z", "--name-only", sha])
        message = git.must([at, "log", "-1", "--no-show-signature", "--format=%B", sha])
        names = tuple(name.decode(errors="surrogateescape") for name in listed.split(b"\0") if name)
        yield Glance(sha, message.decode(errors="replace").strip(), names, git, folder)
