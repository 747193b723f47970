import hashlib
import signal
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from bot.domain.contents import Manifest, decode
from bot.domain.ids import Digest
from jobs.artifacts.disk import DiskStore
from jobs.steps import package
from tests.packing import Bench, plan

_ROOT = Path(__file__).parents[2]

_PACK_AND_HANG = """
import sys, time
from pathlib import Path
from jobs.artifacts.disk import DiskStore

with DiskStore(Path(sys.argv[1])).batch() as batch:
    batch.put_bytes(b"half done")
    print("staged", flush=True)
    time.sleep(60)
"""


def _digest(data: bytes) -> Digest:
    return Digest(hashlib.sha256(data).hexdigest())


def test_a_batch_that_fails_leaves_nothing(tmp_path: Path):
    store = DiskStore(tmp_path)

    def work() -> None:
        with store.batch() as batch:
            assert batch.has(batch.put_bytes(b"x").digest)
            raise KeyError

    with pytest.raises(KeyError):
        work()
    assert not store.has(_digest(b"x"))
    assert not list((tmp_path / "staging").iterdir())


def test_a_blob_is_written_once(tmp_path: Path):
    store = DiskStore(tmp_path)
    with store.batch() as batch:
        assert batch.put_bytes(b"x").new
        assert not batch.put_bytes(b"x").new
    inode = Path(store.path(_digest(b"x"))).stat().st_ino
    with store.batch() as batch:
        assert not batch.put_bytes(b"x").new
    assert Path(store.path(_digest(b"x"))).stat().st_ino == inode


def test_more_than_a_few_files_are_settled_too(tmp_path: Path):
    store = DiskStore(tmp_path)
    with store.batch() as batch:
        stored = [batch.put_bytes(b"%d" % number).digest for number in range(200)]
    assert [store.read(digest) for digest in stored] == [b"%d" % number for number in range(200)]


def test_two_packagings_at_once_of_the_same_content(tmp_path: Path):
    benches = [Bench(tmp_path / "home") for _ in range(2)]
    for number in range(200):
        path = benches[0].output / f"{number % 7}" / f"{number}.html"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"<p>page %d</p>" % number * 200)
    results: list[package.Packed] = []

    def work(bench: Bench) -> None:
        results.append(package.run(bench.context(), bench.output, plan(), bench.store))

    threads = [threading.Thread(target=work, args=(bench,)) for bench in benches]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len({packed.manifest for packed in results}) == 1
    assert all(packed.files == 200 for packed in results)
    _must_be_sound(DiskStore(benches[0].artifacts), results[0].manifest)


def test_a_killed_packaging_leaves_a_store_that_works(tmp_path: Path):
    bench = Bench(tmp_path)
    argv = [sys.executable, "-c", _PACK_AND_HANG, str(bench.artifacts)]
    with subprocess.Popen(argv, cwd=_ROOT, stdout=subprocess.PIPE) as killed:
        assert killed.stdout is not None
        assert killed.stdout.readline() == b"staged\n"
        killed.send_signal(signal.SIGKILL)
    store = DiskStore(bench.artifacts)
    assert not store.has(_digest(b"half done"))
    bench.output.mkdir(parents=True)
    (bench.output / "index.html").write_bytes(b"half done")
    packed = package.run(bench.context(), bench.output, plan(), bench.store)
    assert packed.new_files == 1
    _must_be_sound(store, packed.manifest)
    # The lock died with its holder, so the sweep gets it at once.
    with store.lock(exclusive=True):
        assert len(list((bench.artifacts / "staging").iterdir())) == 1


def _must_be_sound(store: DiskStore, digest: Digest) -> None:
    manifest: Manifest = decode(store.read(digest))
    assert all(_digest(store.read(named)) == named for named in manifest.digests())
