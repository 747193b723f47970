"""The log of one deployment as files: the spool while it is written, the archive afterwards."""

import fcntl
import os
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import suppress
from datetime import timedelta
from pathlib import Path
from typing import BinaryIO

import msgspec
from redis import Redis
from redis.exceptions import RedisError

from bot.domain.ids import DeploymentId
from bot.log import logger
from bot.logs import pieces
from bot.logs.line import OURS, Line, stream_key

_NAME = re.compile(r"(\d+)\.jsonl(?:\.(\d+))?")
# The end of a log is kept in parts of this share of a half, so that the oldest can go as a whole.
_PARTS_A_HALF = 8
_NEAR = 64 * 1024
KEEP_DONE_FOR = timedelta(minutes=10)
"""How long a stream is kept for those who follow, once its log is archived."""
_CUT = "lines were cut here, from the middle of a long log"


def spool_folder(home: Path) -> Path:
    """Where spools are."""
    return home / "logs" / "spool"


def archive_path(home: Path, deployment: DeploymentId) -> Path:
    """Where the complete log is."""
    return home / "logs" / f"{deployment}.jsonl.gz"


def parts(home: Path, deployment: DeploymentId) -> list[Path]:
    """The files of a spool, in order; none when there is no spool on this machine."""
    head = spool_folder(home) / f"{deployment}.jsonl"
    rest = [path for path in head.parent.glob(f"{deployment}.jsonl.*") if path.suffix[1:].isdigit()]
    first = [head] if head.exists() else []
    return first + sorted(rest, key=lambda path: int(path.suffix[1:]))


def read_spool(home: Path, deployment: DeploymentId, after: int = 0) -> Iterator[Line]:
    """Lines of a spool with higher numbers, in order."""
    for path in parts(home, deployment):
        try:
            with path.open("rb") as file:
                _seek(file, after)
                yield from _lines(file, after)
        except FileNotFoundError:
            continue


def read_archive(home: Path, deployment: DeploymentId, after: int = 0) -> Iterator[Line]:
    """Lines of the complete log with higher numbers, in order. Raises `FileNotFoundError`."""
    for rows in pieces.read(archive_path(home, deployment), after):
        yield from _lines(rows[_place(rows, after) :], after)


def _place(rows: Sequence[bytes], after: int) -> int:
    """Where the rows behind a number may begin, by halves; rows that can't be read count as behind it."""
    low, high = 0, len(rows)
    while after and low < high:
        middle = (low + high) // 2
        number = _number(rows[middle])
        low, high = (middle + 1, high) if number is not None and number <= after else (low, middle)
    return low


def _seek(file: BinaryIO, after: int) -> None:
    """Go near the first line behind a number, by halves: numbers grow."""
    low, high = 0, os.fstat(file.fileno()).st_size
    while after and high - low > _NEAR:
        middle = (low + high) // 2
        file.seek(middle)
        file.readline()
        number = _number(file.readline())
        low, high = (middle, high) if number is not None and number <= after else (low, middle)
    file.seek(low)
    if low:
        file.readline()


def _number(row: bytes) -> int | None:
    try:
        return Line.from_json(row).n
    except msgspec.DecodeError:
        return None


def _lines(file: Iterable[bytes], after: int) -> Iterator[Line]:
    for row in file:
        try:
            line = Line.from_json(row)
        except msgspec.DecodeError:
            # A crash may cut the last line of a spool.
            continue
        if line.n > after:
            after = line.n
            yield line


class Spool:
    """The spool of one deployment, open for writing. One process at a time has its lock."""

    def __init__(self, home: Path, deployment: DeploymentId, max_bytes: int) -> None:
        self._home = home
        self._deployment = deployment
        self._half = max_bytes // 2
        folder = spool_folder(home)
        folder.mkdir(parents=True, exist_ok=True)
        self._lock = os.open(folder / f"{deployment}.lock", os.O_RDWR | os.O_CREAT, 0o600)
        self.has_lock = _lock(self._lock)
        present = parts(home, deployment)
        self._path = present[-1] if present else folder / f"{deployment}.jsonl"
        self._file = os.open(self._path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        self._size = os.fstat(self._file).st_size
        if not _ends_whole(self._path, self._size):
            self._write(b"\n")

    def append(self, rows: bytes) -> None:
        """Append whole rows. Raises `OSError` when the disk refuses."""
        limit = self._half if self._path.suffix == ".jsonl" else max(self._half // _PARTS_A_HALF, 1)
        if self._size and self._size + len(rows) > limit:
            self._begin_part()
        self._write(rows)

    def archive(self) -> None:
        """Write the complete log, cut in the middle where it is too long, and remove the spool."""
        target = archive_path(self._home, self._deployment)
        draft = target.with_name(f".{target.name}.{os.getpid()}")
        with draft.open("wb") as file:
            pieces.write(file, ((line.n, line.to_json() + b"\n") for line in self._kept()))
        descriptor = os.open(draft, os.O_RDONLY)
        os.fsync(descriptor)
        os.close(descriptor)
        draft.replace(target)
        for path in parts(self._home, self._deployment):
            path.unlink(missing_ok=True)

    def close(self, *, remove_lock: bool) -> None:
        """Let go of the files."""
        os.close(self._file)
        if remove_lock and self.has_lock:
            (spool_folder(self._home) / f"{self._deployment}.lock").unlink(missing_ok=True)
        os.close(self._lock)

    def _write(self, rows: bytes) -> None:
        rest = memoryview(rows)
        while rest:
            written = os.write(self._file, rest)
            self._size += written
            rest = rest[written:]

    def _begin_part(self) -> None:
        os.close(self._file)
        present = parts(self._home, self._deployment)
        number = int(self._path.suffix[1:]) + 1 if self._path.suffix != ".jsonl" else 1
        for path in present[1 : 1 - _PARTS_A_HALF]:
            path.unlink(missing_ok=True)
        self._path = present[0].with_name(f"{self._deployment}.jsonl.{number}")
        self._file = os.open(self._path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        self._size = os.fstat(self._file).st_size

    def _kept(self) -> Iterator[Line]:
        """Every line that is left; where the middle is missing, a line says so."""
        last = 0
        for line in read_spool(self._home, self._deployment):
            if last and line.n > last + 1 and not _is_cut(line):
                missing = line.n - last - 1
                yield Line(line.n - 1, line.at, line.step, OURS, f"{missing:,} {_CUT}")
            last = line.n
            yield line


def restore(home: Path, deployment: DeploymentId) -> None:
    """Make a spool of the archive, since another attempt follows."""
    folder = spool_folder(home)
    if not archive_path(home, deployment).exists() or parts(home, deployment):
        return
    folder.mkdir(parents=True, exist_ok=True)
    draft = folder / f".{deployment}.{os.getpid()}"
    with draft.open("wb") as file:
        file.writelines(line.to_json() + b"\n" for line in read_archive(home, deployment))
    draft.replace(folder / f"{deployment}.jsonl")
    archive_path(home, deployment).unlink()


def archive_abandoned(
    home: Path, is_final: Callable[[DeploymentId], bool], redis: Redis | None = None
) -> list[DeploymentId]:
    """Archive the spools of finished deployments that nobody writes any more; the deployments concerned.

    With Redis, those who follow are told that the log is complete.
    """
    names = (_NAME.fullmatch(path.name) for path in spool_folder(home).glob("*.jsonl*"))
    found = sorted({DeploymentId(int(name[1])) for name in names if name})
    return [one for one in found if is_final(one) and _archive_one(home, one, redis)]


def _archive_one(home: Path, deployment: DeploymentId, redis: Redis | None) -> bool:
    spool = Spool(home, deployment, max_bytes=1 << 62)
    last = max((line.n for line in read_spool(home, deployment)), default=0)
    if spool.has_lock:
        spool.archive()
    spool.close(remove_lock=True)
    if spool.has_lock and redis is not None:
        mark_done(redis, deployment, last)
    return spool.has_lock


def mark_done(redis: Redis, deployment: DeploymentId, last: int) -> None:
    """Tell those who follow that the log is complete; the archive has it now, so the stream goes soon."""
    pipe = redis.pipeline(transaction=False)
    pipe.xadd(stream_key(deployment), {"done": f'{{"n":{last}}}'}, id=f"{last}-1")
    # Without it the stream of a log that was archived late would be made anew, and stay for ever.
    pipe.expire(stream_key(deployment), KEEP_DONE_FOR)
    try:
        pipe.execute()
    except RedisError as error:
        logger.info("end of log not told", deployment=deployment, error=str(error))


def _lock(descriptor: int) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return False
    return True


def _ends_whole(path: Path, size: int) -> bool:
    if size == 0:
        return True
    with path.open("rb") as file:
        file.seek(size - 1)
        return file.read() == b"\n"


def _is_cut(line: Line) -> bool:
    return line.stream == OURS and line.text.endswith(_CUT)


def read_rows(path: Path, offset: int, limit: int) -> tuple[list[Line], int]:
    """Up to so many whole rows of a spool's file from an offset; the lines, and the offset behind them."""
    lines: list[Line] = []
    try:
        with path.open("rb") as file:
            file.seek(offset)
            for row in file:
                if len(lines) == limit or not row.endswith(b"\n"):
                    break
                offset += len(row)
                with suppress(msgspec.DecodeError):
                    lines.append(Line.from_json(row))
    except FileNotFoundError:
        return [], offset
    return lines, offset
