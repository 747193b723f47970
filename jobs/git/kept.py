"""Processes of git that are kept for a while, and answer many questions about objects."""

import os
import select
import subprocess
from collections.abc import Callable, Generator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from threading import local
from typing import TypeVar

from jobs.git.command import NO_OBJECT, QUICK_SECONDS, Answer, Git, GitFailedError

T = TypeVar("T")
MOST = 4
"""Mirrors that are kept open by one thread at once."""
_CHUNK = 1 << 16


@dataclass
class _Process:
    """One `git cat-file`, asked line by line."""

    argv: tuple[str, ...]
    process: subprocess.Popen[bytes]
    come: bytearray = field(default_factory=bytearray)

    def ask(self, name: str) -> bytes:
        """The line that it answers with. Raises `GitFailedError`, and `TimeoutError`."""
        assert self.process.stdin is not None
        try:
            os.write(self.process.stdin.fileno(), name.encode(errors="surrogateescape") + b"\n")
        except BrokenPipeError as error:
            raise self._failed() from error
        return self.take_line()

    def take_line(self) -> bytes:
        """The next line, without its end."""
        while (end := self.come.find(b"\n")) < 0:
            self._await_more()
        line = bytes(self.come[:end])
        del self.come[: end + 1]
        return line

    def take(self, size: int) -> bytes:
        """So many bytes."""
        while len(self.come) < size:
            self._await_more()
        found = bytes(self.come[:size])
        del self.come[:size]
        return found

    def end(self) -> None:
        """End it; it has nothing to lose."""
        self.process.kill()
        self.process.wait()
        for pipe in (self.process.stdin, self.process.stdout):
            if pipe is not None:
                with suppress(BrokenPipeError):
                    pipe.close()

    def _await_more(self) -> None:
        assert self.process.stdout is not None
        waiting = select.poll()
        waiting.register(self.process.stdout, select.POLLIN)
        if not waiting.poll(QUICK_SECONDS * 1000):
            raise TimeoutError("it took too long")
        more = os.read(self.process.stdout.fileno(), _CHUNK)
        if not more:
            raise self._failed()
        self.come += more

    def _failed(self) -> GitFailedError:
        return GitFailedError(self.argv, Answer(1, b"", "git ended before it answered"))


@dataclass
class _Open:
    """What is kept of one mirror: one process that tells of objects, one that gives them."""

    git: Git
    mirror: Path
    running: dict[str, _Process] = field(default_factory=dict[str, _Process])

    def of(self, how: str) -> _Process:
        if how not in self.running:
            argv = (f"--git-dir={self.mirror}", "cat-file", how)
            self.running[how] = _Process(argv, self.git.keep(argv))
        return self.running[how]

    def end(self) -> None:
        for process in self.running.values():
            process.end()


class Keeper(local):
    """The mirrors that this thread keeps open just now. Each thread has its own, and each process."""

    def __init__(self, git: Git) -> None:
        super().__init__()
        self._git = git
        self._depth = 0
        self._pid = 0
        self._open: dict[Path, _Open] = {}

    @contextmanager
    def keeping(self) -> Generator[None]:
        """Keep processes until the end."""
        if self._pid != os.getpid():
            # Those of the process that forked this one are not ours to ask.
            self._pid, self._depth, self._open = os.getpid(), 0, {}
        self._depth += 1
        try:
            yield
        finally:
            self._depth -= 1
            if not self._depth:
                self._drop(0)

    @property
    def keeps(self) -> bool:
        """Whether processes are kept at present."""
        return self._depth > 0 and self._pid == os.getpid()

    def look(self, mirror: Path, name: str) -> tuple[str, str, int]:
        """Type, id and size of an object; an empty type when there is none."""
        line = self._again(mirror, lambda: self._ask(mirror, "--batch-check", name))
        return (Answer(0, line + b"\n", "").objects or [NO_OBJECT])[0]

    def content(self, mirror: Path, name: str) -> bytes | None:
        """An object's content, as git has it; None when there is none."""
        return self._again(mirror, lambda: self._content(mirror, name))

    def _content(self, mirror: Path, name: str) -> bytes | None:
        line = self._ask(mirror, "--batch", name)
        kind, _, size = (Answer(0, line + b"\n", "").objects or [NO_OBJECT])[0]
        if not kind:
            return None
        found = self._open[mirror].of("--batch").take(size + 1)
        return found[:-1]

    def _again(self, mirror: Path, question: Callable[[], T]) -> T:
        """Ask; once more, when something killed the process that was to answer."""
        try:
            return question()
        except GitFailedError:
            self._end(mirror)
            return question()

    def _end(self, mirror: Path) -> None:
        there = self._open.pop(mirror, None)
        if there is not None:
            there.end()

    def _ask(self, mirror: Path, how: str, name: str) -> bytes:
        there = self._open.pop(mirror, None) or _Open(self._git, mirror)
        self._open[mirror] = there
        self._drop(MOST)
        try:
            return there.of(how).ask(name)
        except (GitFailedError, TimeoutError):
            # Begun anew by the next question.
            self._end(mirror)
            raise

    def _drop(self, most: int) -> None:
        for mirror in list(self._open)[: max(0, len(self._open) - most)]:
            self._open.pop(mirror).end()
