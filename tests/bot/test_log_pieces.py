"""Archived rows are found without reading those before them, and read by any gzip program."""

import gzip
from pathlib import Path

import pytest

from bot.domain.ids import DeploymentId
from bot.logs import pieces
from bot.logs.line import Line
from bot.logs.spool import Spool, read_archive, read_spool

COUNT = 20_000


def _line(number: int) -> Line:
    return Line(number, "2026-01-31T12:00:00.000Z", "build", "stdout", f"line {number} of a long build")


@pytest.fixture(scope="module")
def spool(tmp_path_factory: pytest.TempPathFactory) -> Path:
    home = tmp_path_factory.mktemp("home")
    (home / "logs").mkdir()
    written = Spool(home, DeploymentId(1), 1 << 30)
    written.append(b"".join(_line(n).to_json() + b"\n" for n in range(1, COUNT + 1)))
    written.close(remove_lock=True)
    return home


@pytest.fixture(scope="module")
def archive(spool: Path) -> Path:
    """The same log, archived; the spool stays for others."""
    path = spool / "logs" / "1.jsonl.gz"
    with path.open("wb") as file:
        pieces.write(file, ((n, _line(n).to_json() + b"\n") for n in range(1, COUNT + 1)))
    return spool


AFTER = (0, 1, 2, 1333, 9999, 10_000, COUNT - 1, COUNT, COUNT + 5)


@pytest.mark.parametrize("after", AFTER)
def test_a_spool_is_read_from_any_line(spool: Path, after: int) -> None:
    assert [line.n for line in read_spool(spool, DeploymentId(1), after)] == [*range(after + 1, COUNT + 1)]


@pytest.mark.parametrize("after", AFTER)
def test_an_archive_is_read_from_any_line(archive: Path, after: int) -> None:
    assert [line.n for line in read_archive(archive, DeploymentId(1), after)] == [
        *range(after + 1, COUNT + 1)
    ]


def test_the_end_of_an_archive_is_read_without_what_comes_before(archive: Path) -> None:
    read = list(pieces.read(archive / "logs" / "1.jsonl.gz", COUNT - 1))
    assert 0 < sum(len(row) for rows in read for row in rows) < 2 * pieces.SIZE


def test_an_archive_is_a_gzip_file(archive: Path) -> None:
    rows = gzip.decompress((archive / "logs" / "1.jsonl.gz").read_bytes()).splitlines()
    assert [Line.from_json(row).n for row in rows] == [*range(1, COUNT + 1)]


def test_an_archive_of_one_piece_without_a_mark_is_read(tmp_path: Path) -> None:
    (tmp_path / "logs").mkdir()
    rows = b"".join(_line(n).to_json() + b"\n" for n in range(1, 100))
    (tmp_path / "logs" / "2.jsonl.gz").write_bytes(gzip.compress(rows))
    assert [line.n for line in read_archive(tmp_path, DeploymentId(2), 90)] == [*range(91, 100)]


def test_an_empty_log_is_an_archive_too(tmp_path: Path) -> None:
    with (tmp_path / "empty.gz").open("wb") as file:
        pieces.write(file, [])
    assert list(pieces.read(tmp_path / "empty.gz", 0)) == [[]]
    assert gzip.decompress((tmp_path / "empty.gz").read_bytes()) == b""


def test_an_archive_that_was_written_anew_is_read_anew(tmp_path: Path) -> None:
    (tmp_path / "logs").mkdir()
    path = tmp_path / "logs" / "3.jsonl.gz"
    for count in (5000, 9000):
        with path.open("wb") as file:
            pieces.write(file, ((n, _line(n).to_json() + b"\n") for n in range(1, count + 1)))
        assert [line.n for line in read_archive(tmp_path, DeploymentId(3), count - 2)] == [count - 1, count]


def test_a_damaged_archive_is_an_error_of_reading(archive: Path, tmp_path: Path) -> None:
    (tmp_path / "logs").mkdir()
    whole = bytearray((archive / "logs" / "1.jsonl.gz").read_bytes())
    whole[len(whole) // 2] ^= 0xFF
    (tmp_path / "logs" / "4.jsonl.gz").write_bytes(whole)
    with pytest.raises(OSError, match="can't be read"):
        list(read_archive(tmp_path, DeploymentId(4), 0))
