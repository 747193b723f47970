"""Questions about the objects of a mirror, and what they hold."""

from collections.abc import Sequence
from contextlib import AbstractContextManager
from pathlib import Path

from jobs.git.command import NO_OBJECT, Answer, Git, GitFailedError
from jobs.git.kept import Keeper


class Objects:
    """Asks git about objects by any name that it knows. All methods raise `GitFailedError`."""

    def __init__(self, git: Git) -> None:
        self._git = git
        self._keeper = Keeper(git)

    def kept_open(self) -> AbstractContextManager[None]:
        """Until its end, questions of this thread are answered by processes that stay."""
        return self._keeper.keeping()

    def look(self, mirror: Path, names: Sequence[str]) -> list[tuple[str, str, int]]:
        """Types, ids and sizes of objects; an empty type where there is none. One process at most."""
        if any("\n" in name for name in names) or not mirror.exists():
            return [NO_OBJECT] * len(names)
        if self._keeper.keeps:
            return [self._keeper.look(mirror, name) for name in names]
        given = "".join(f"{name}\n" for name in names).encode(errors="surrogateescape")
        answer = self._git.run([f"--git-dir={mirror}", "cat-file", "--batch-check"], given=given)
        if answer.code:
            raise GitFailedError(["cat-file"], answer)
        return answer.objects

    def content(self, mirror: Path, kind: str, name: str) -> bytes:
        """What an object of that kind holds; there must be one."""
        argv = ["cat-file", kind, name]
        if not self._keeper.keeps:
            return self._git.must([f"--git-dir={mirror}", *argv])
        content = self._keeper.content(mirror, name)
        if content is None:
            raise GitFailedError(argv, Answer(128, b"", "no such object"))
        return content

    def batch(self, mirror: Path, how: str, given: bytes) -> bytes:
        """What `cat-file` says of many objects at once."""
        answer = self._git.run([f"--git-dir={mirror}", "cat-file", how], given=given)
        if answer.code:
            raise GitFailedError(["cat-file"], answer)
        return answer.out
