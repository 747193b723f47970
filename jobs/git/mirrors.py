"""Bare mirrors of repositories, kept between deployments, and questions to them."""

import re
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, suppress
from dataclasses import replace
from pathlib import Path

from bot.domain.app import App
from bot.domain.deployment import Commit
from bot.domain.ids import Sha, is_sha
from bot.errors import ErrorCode, UserError
from bot.settings import Settings
from jobs.git.command import (
    FETCH_SECONDS,
    QUICK_SECONDS,
    Answer,
    Git,
    GitFailedError,
    TooMuchError,
    locked,
    never,
)
from jobs.git.entries import EMPTY_TREE, Entry, added_of, author_of, entries_of, message_of, room_of
from jobs.git.objects import Objects
from jobs.git.recent import is_recent, now, remember
from jobs.git.remotes import Credentials, mirror_name, remote_of, shown
from jobs.git.talk import Asking, refs_of, silent, talk
from jobs.git.upkeep import make, tidy
from jobs.git.way import Ways

Stopped = Callable[[], bool]
MAX_COMMIT = 1024 * 1024
_SYMREF = re.compile(r"^ref: refs/heads/(\S+)\tHEAD$", re.MULTILINE)
_ID = re.compile(r"[0-9a-f]{4,40}")


class Mirrors:
    """Mirrors below `home/mirrors`, one per tenant and clone URL, shared by all processes of the machine.

    A full commit id names a commit; paths are relative to the repository's top. Where `stopped` is
    taken it is asked every 50 ms; once it is true `GitStoppedError` is raised. Whatever asks the remote
    raises `PlatformError` REPOSITORY_SILENT, too, when there is no answer to wait for.
    """

    def __init__(self, settings: Settings, credentials: Credentials) -> None:
        self.home = settings.home / "mirrors"
        self.github_url = settings.github_url
        self._credentials = credentials
        self._ways = Ways(settings.github_url, settings.outgoing_networks)
        self.git = Git(self.home)
        self._objects = Objects(self.git)

    def kept_open(self) -> AbstractContextManager[None]:
        """Until its end, this thread's questions are answered by processes that stay: a tenth of the time."""
        return self._objects.kept_open()

    def path(self, app: App) -> Path:
        """The mirror's folder; it may not exist yet."""
        return self.home / mirror_name(app.clone_url, app.tenant_id)

    def fetch(
        self, app: App, *, below: Sequence[str] = (), seconds: float = FETCH_SECONDS, stopped: Stopped = never
    ) -> None:
        """Bring every branch up to date, and the refs `below` some folders, such as `refs/pull/12`.

        Raises `UserError` REPOSITORY_UNREACHABLE.
        """
        refs = [f"+{folder}/*:{folder}/*" for folder in ("refs/heads", *below)]
        begun = now()
        self._fetch(app, ("--prune", "origin", *refs), seconds, stopped)
        remember(self.path(app), begun, below)

    def fetch_commit(self, app: App, sha: Sha, *, stopped: Stopped = never) -> bool:
        """Make a commit available, and keep it from being pruned; whether it had to be fetched.

        Raises `UserError` COMMIT_GONE, or REPOSITORY_UNREACHABLE when the remote does not answer.
        """
        kept = f"refs/deploy/{sha}"
        is_kept, is_here = (kind == "commit" for kind, _, _ in self._look_at(app, kept, sha))
        if is_kept:
            return False
        if is_here or not self._get(app, sha, stopped):
            self.git.must([*self._at(app), "update-ref", kept, sha])
        return not is_here

    def newest_head(self, app: App, branch: str, *, stopped: Stopped = never) -> Sha:
        """The commit that a branch points at now, asked from the remote.

        Raises `UserError` BRANCH_GONE when there is no such branch, else REPOSITORY_UNREACHABLE.
        """
        ref = f"refs/heads/{branch}"
        found = self.newest(app, (ref,), stopped=stopped)
        if ref not in found:
            raise UserError(ErrorCode.BRANCH_GONE, branch=branch, url=shown(app))
        return found[ref]

    def newest(self, app: App, refs: Sequence[str], *, stopped: Stopped = never) -> dict[str, Sha]:
        """The commits that some refs point at now, asked from the remote; without those that are not there.

        Raises `UserError` REPOSITORY_UNREACHABLE.
        """
        answer = self._talk(app, ("ls-remote", "--quiet", "origin", *refs), QUICK_SECONDS, stopped)
        return {name: sha for name, sha in refs_of(answer).items() if name in refs}

    def lately(self, app: App, refs: Sequence[str]) -> dict[str, Sha] | None:
        """The same, as a fetch of the last seconds found them; None when they must be asked for."""
        if not is_recent(self.path(app), refs):
            return None
        found = {ref: self.at(app, ref) for ref in refs}
        return {ref: sha for ref, sha in found.items() if sha is not None}

    def heads(self, app: App) -> dict[str, Sha]:
        """Every branch and the commit that it points at now, asked from the remote.

        Raises `UserError` REPOSITORY_UNREACHABLE.
        """
        answer = self._talk(app, ("ls-remote", "--quiet", "--heads", "origin"), QUICK_SECONDS, never)
        return {name.removeprefix("refs/heads/"): sha for name, sha in refs_of(answer).items()}

    def fetch_alone(self, app: App, folder: Path, sha: Sha, seconds: float) -> None:
        """Fetch one commit without its history into a bare repository other than the mirror.

        Raises `UserError` REPOSITORY_UNREACHABLE.
        """
        argv = [f"--git-dir={folder}", "fetch", "--quiet", "--no-tags", "--depth=1", "origin", sha]
        self._talk(app, argv, seconds, never)

    def head(self, app: App, branch: str) -> Sha | None:
        """The commit that a branch pointed at when the mirror was last fetched."""
        return self.at(app, f"refs/heads/{branch}")

    def at(self, app: App, ref: str) -> Sha | None:
        """The commit that a ref pointed at when the mirror last fetched it; None when there was none."""
        kind, name, _ = self._look(app, ref)
        return Sha(name) if kind == "commit" else None

    def default_branch(self, app: App) -> str | None:
        """The remote's default branch, asked from it; None when it names none. Raises as `newest_head`."""
        answer = self._talk(app, ("ls-remote", "--quiet", "--symref", "origin", "HEAD"), QUICK_SECONDS, never)
        found = _SYMREF.search(answer.out.decode(errors="replace"))
        return found[1] if found else None

    def commit(self, app: App, name: str) -> Sha | None:
        """The commit that a branch's name or a commit's id, which may be cut, means; None when none."""
        if self.head(app, name) is not None:
            return self.head(app, name)
        kind, full, _ = self._look(app, name) if _ID.fullmatch(name) else ("", "", 0)
        return Sha(full) if kind == "commit" else None

    def parting(self, app: App, one: Sha, other: Sha) -> Sha | None:
        """The newest commit that two commits' histories share."""
        answer = self.git.run([*self._at(app), "merge-base", one, other])
        return Sha(answer.out.decode().strip()) if answer.code == 0 else None

    def has(self, app: App, sha: Sha) -> bool:
        """Whether the mirror has a commit."""
        return self._look(app, sha)[0] == "commit"

    def read(self, app: App, sha: Sha, path: str, max_bytes: int) -> bytes | None:
        """A file of a commit; None when there is no such file, or when it is larger than that."""
        kind, name, size = self._look(app, f"{sha}:{path}")
        return self._content(app, kind, name) if kind == "blob" and size <= max_bytes else None

    def entries(self, app: App, sha: Sha, folder: str = "") -> list[Entry]:
        """What a folder of a commit holds, by path; empty when there is no such folder."""
        return self._list(app, sha, f"{folder}/" if folder else "")

    def file(self, app: App, sha: Sha, path: str, max_bytes: int) -> bytes | None:
        """A regular file of a commit; None when there is none, or when it is larger than that."""
        content = self.read(app, sha, path, max_bytes)
        if content is None:
            return None
        # A link's content is a blob, too.
        found = next((one for one in self._list(app, sha, path) if one.path == path), None)
        return content if found is not None and found.is_file else None

    def find(self, app: App, sha: Sha, names: Sequence[str]) -> list[Entry]:
        """The regular files that have one of the names, but below `node_modules`. Raises `TooMuchError`."""
        given = [f":(glob)**/{name}" for name in names]
        argv = ("diff-tree", "-r", "-z", "--raw", "--no-renames", "--no-abbrev", EMPTY_TREE, sha, "--")
        out = self.git.look_over([*self._at(app), *argv, *given, ":(exclude,glob)**/node_modules/**"])
        found = [entry for entry in added_of(out) if entry.is_file]
        given_ids = "".join(f"{entry.id}\n" for entry in found).encode()
        sizes = self._batch(app, "--batch-check=%(objectsize)", given_ids).split()
        return [replace(entry, size=int(size)) for entry, size in zip(found, sizes, strict=True)]

    def contents(self, app: App, entries: Sequence[Entry]) -> dict[str, bytes]:
        """Files' contents by path. All are in memory at once: look at their sizes before."""
        ids = "".join(f"{entry.id}\n" for entry in entries).encode()
        rest = memoryview(self._batch(app, "--batch=", ids))
        read: dict[str, bytes] = {}
        for entry in entries:
            # An empty line, the content, and a newline behind it.
            read[entry.path] = bytes(rest[1 : 1 + entry.size])
            rest = rest[entry.size + 2 :]
        return read

    def _batch(self, app: App, how: str, given: bytes) -> bytes:
        return self._objects.batch(self.path(app), how, given)

    def _list(self, app: App, sha: Sha, path: str) -> list[Entry]:
        where = ("--", path) if path else ()
        return entries_of(self.git.must([*self._at(app), "ls-tree", "-z", "-l", sha, *where]))

    def changed(self, app: App, before: Sha | None, after: Sha) -> list[str] | None:
        """Files that differ between two commits, both names of renamed ones; None: unknown, or countless."""
        if before is None or not self.has(app, before) or not self.has(app, after):
            return None
        argv = ("--name-only", "--no-renames", before, after)
        with suppress(TooMuchError):
            out = self.git.look_over([*self._at(app), "diff-tree", "-r", "-z", *argv])
            return [name.decode(errors="surrogateescape") for name in out.split(b"\0") if name]
        return None

    def changed_since_fork(self, app: App, base: str, head: Sha) -> list[str] | None:
        """Files that differ between a commit and where it left a branch; None when unknown."""
        onto = self.head(app, base)
        if onto is None or not self.has(app, head):
            return None
        answer = self.git.run([*self._at(app), "merge-base", onto, head])
        fork = answer.out.decode().strip()
        return self.changed(app, Sha(fork), head) if answer.code == 0 and is_sha(fork) else None

    def weighs_more(self, app: App, sha: Sha, most: int) -> bool:
        """Whether the files of a commit take more bytes of a disk, or are countless."""
        with suppress(TooMuchError):
            return room_of(self.git.look_over([*self._at(app), "ls-tree", "-r", "-l", "-z", sha])) > most
        return True

    def mentions(self, app: App, tree: str, words: Sequence[str]) -> bool:
        """Whether a text file of a tree has one of some words in it."""
        given = [part for word in words for part in ("-e", word)]
        answer = self.git.run([*self._at(app), "grep", "--quiet", "-I", "-F", *given, tree])
        if answer.code > 1:
            raise GitFailedError(["grep"], answer)
        return answer.code == 0

    def tree_id(self, app: App, sha: Sha, directory: str = "") -> str | None:
        """Git's id of a directory's content, which names that content; None when it is not there."""
        kind, name, _ = self._look(app, f"{sha}:{directory.strip('/')}")
        return name if kind == "tree" else None

    def contents_ids(self, app: App, sha: Sha, paths: Sequence[str]) -> dict[str, str]:
        """Git's ids of what is at paths, all asked at once; other words where there is nothing."""
        asked = [path for path in paths if "\n" not in path]
        given = "".join(f"{sha}:{path}\n" for path in asked).encode(errors="surrogateescape")
        answers = self._batch(app, "--batch-check=%(objectname)", given).splitlines()
        return {path: answer.decode(errors="replace") for path, answer in zip(asked, answers, strict=True)}

    def message(self, app: App, sha: Sha) -> str:
        """A commit's message; empty when the commit is longer than anybody reads."""
        return self.commit_of(app, sha).message

    def commit_of(self, app: App, sha: Sha) -> Commit:
        """A commit with its message and its author's name; without when it is longer than anybody reads."""
        content = b"" if self._look(app, sha)[2] > MAX_COMMIT else self._content(app, "commit", sha)
        return Commit(sha, message_of(content), author_of(content))

    def contains(self, app: App, newer: Sha, older: Sha) -> bool:
        """Whether a commit's history has another one; False, too, when one of them is not here."""
        return self.git.run([*self._at(app), "merge-base", "--is-ancestor", older, newer]).code == 0

    def _at(self, app: App) -> tuple[str, ...]:
        return (f"--git-dir={self.path(app)}",)

    def _look(self, app: App, name: str) -> tuple[str, str, int]:
        """Type, id and size of an object; an empty type when there is none."""
        return self._look_at(app, name)[0]

    def _look_at(self, app: App, *names: str) -> list[tuple[str, str, int]]:
        return self._objects.look(self.path(app), names)

    def _content(self, app: App, kind: str, name: str) -> bytes:
        return self._objects.content(self.path(app), kind, name)

    def _get(self, app: App, sha: Sha, stopped: Stopped) -> bool:
        """Fetch a commit; whether its own ref keeps it already."""
        # Some servers give out nothing but branches, and all refuse a commit that is gone.
        with suppress(UserError):
            self._fetch(app, ("origin", f"+{sha}:refs/deploy/{sha}"), FETCH_SECONDS, stopped)
            return True
        self.fetch(app, stopped=stopped)
        if not self.has(app, sha):
            raise UserError(ErrorCode.COMMIT_GONE, sha=sha, url=shown(app))
        return False

    def _fetch(self, app: App, refs: Sequence[str], seconds: float, stopped: Stopped) -> None:
        argv = [*self._at(app), "fetch", "--quiet", "--force", "--no-tags", "--no-write-fetch-head", *refs]
        try:
            with locked(self.path(app).with_suffix(".lock"), seconds, stopped):
                make(self.git, self.path(app))
                self._talk(app, argv, seconds, stopped)
                tidy(self.git, self.path(app))
        except TimeoutError as error:
            raise silent(app, str(error)) from error

    def _talk(self, app: App, argv: Sequence[str], seconds: float, stopped: Stopped) -> Answer:
        remote = remote_of(app, self.github_url, self._credentials)
        return talk(self.git, self._ways, remote, app, asking=Asking(argv, seconds, stopped))
