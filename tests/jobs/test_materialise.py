import hashlib
import os
import stat
import threading
from pathlib import Path

import pytest

from bot.domain.contents import File, Manifest, encode
from bot.domain.ids import Digest
from jobs.artifacts.disk import DiskStore
from jobs.artifacts.materialise import materialise


def _store(folder: Path, tree: dict[str, bytes], variants: dict[str, bytes]) -> tuple[DiskStore, Digest]:
    store = DiskStore(folder / "artifacts")
    with store.batch() as batch:
        brotli = {path: batch.put_bytes(data).digest for path, data in variants.items()}
        files = {
            path: File(
                batch.put_bytes(data).digest, len(data), {"br": brotli[path]} if path in brotli else {}
            )
            for path, data in tree.items()
        }
        return store, batch.put_manifest(encode(Manifest(files)))


def _published(target: Path) -> dict[str, bytes]:
    files = target / "files"
    return {str(path.relative_to(files)): path.read_bytes() for path in files.rglob("*") if path.is_file()}


def test_a_release_is_hard_links_with_variants_beside(tmp_path: Path):
    store, manifest = _store(tmp_path, {"a/b/index.html": b"page"}, {"a/b/index.html": b"pg"})
    target = tmp_path / "releases" / "5"
    materialise(store, manifest, target, rules=b"{}")
    assert _published(target) == {"a/b/index.html": b"page", "a/b/index.html.br": b"pg"}
    assert (target / "rules.json").read_bytes() == b"{}"
    page = target / "files" / "a" / "b" / "index.html"
    assert page.stat().st_nlink == 2
    assert page.stat().st_mode & 0o222 == 0
    folders = [target, *(path for path in target.rglob("*") if path.is_dir())]
    assert {stat.S_IMODE(path.stat().st_mode) for path in folders} == {0o755}


def test_a_path_of_the_release_wins_over_a_variant(tmp_path: Path):
    tree = {"a.js": b"script", "a.js.br": b"their own", "b.js": b"script", "b.js.br/inner.txt": b"folder"}
    long = "n" * 253
    store, manifest = _store(tmp_path, tree | {long: b"x"}, {"a.js": b"v", "b.js": b"v", long: b"v"})
    materialise(store, manifest, tmp_path / "5")
    assert _published(tmp_path / "5") == tree | {long: b"x"}


def test_a_release_that_is_there_is_left_alone(tmp_path: Path):
    store, manifest = _store(tmp_path, {"a.txt": b"1"}, {})
    materialise(store, manifest, tmp_path / "r" / "5")
    before = (tmp_path / "r" / "5").stat()
    materialise(store, manifest, tmp_path / "r" / "5", rules=b"later")
    assert (tmp_path / "r" / "5").stat().st_ino == before.st_ino
    assert [path.name for path in (tmp_path / "r").iterdir()] == ["5"]


def test_a_failure_leaves_no_release(tmp_path: Path):
    store, manifest = _store(tmp_path, {"a.txt": b"1", "b.txt": b"2"}, {})
    Path(store.path(Digest(hashlib.sha256(b"2").hexdigest()))).unlink()
    with pytest.raises(FileNotFoundError):
        materialise(store, manifest, tmp_path / "r" / "5")
    assert not list((tmp_path / "r").iterdir())


def test_two_at_once_make_one_whole_release(tmp_path: Path):
    tree = {f"{number}.txt": b"%d" % number for number in range(300)}
    store, manifest = _store(tmp_path, tree, {})
    targets = [tmp_path / "r" / "5"] * 4
    threads = [threading.Thread(target=materialise, args=(store, manifest, target)) for target in targets]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert _published(targets[0]) == tree
    assert [path.name for path in (tmp_path / "r").iterdir()] == ["5"]


@pytest.mark.skipif(not Path("/dev/shm").is_dir(), reason="needs a second file system")
def test_on_another_file_system_it_is_copies_of_the_same_date(tmp_path: Path):
    store, manifest = _store(tmp_path, {"a.txt": b"1"}, {})
    target = Path("/dev/shm") / f"slipway-{os.getpid()}"
    try:
        if target.parent.stat().st_dev == tmp_path.stat().st_dev:
            pytest.skip("the same file system")
        materialise(store, manifest, target)
        digest = next(iter(Path(store.folder / "blobs").rglob("6b86b273*")))
        copy = target / "files" / "a.txt"
        assert copy.read_bytes() == b"1"
        assert copy.stat().st_mtime_ns == digest.stat().st_mtime_ns
        assert stat.S_IMODE(copy.stat().st_mode) == 0o444
    finally:
        (target / "files" / "a.txt").unlink(missing_ok=True)
        (target / "files").rmdir()
        target.rmdir()
