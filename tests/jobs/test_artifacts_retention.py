import hashlib
import threading
from pathlib import Path

from bot.domain.contents import File, Manifest, encode
from bot.domain.ids import Digest
from jobs.artifacts.disk import DiskStore
from jobs.artifacts.retention import sweep, sweep_folders

# Older than nothing: everything that nobody needs goes at once.
_NOW = -1.0


def _release(store: DiskStore, *contents: bytes) -> Digest:
    with store.batch() as batch:
        stored = [batch.put_bytes(content) for content in contents]
        variant = batch.put_bytes(b"variant of " + contents[0])
        files = {f"{at}.txt": File(one.digest, one.size) for at, one in enumerate(stored)}
        files["0.txt"] = File(stored[0].digest, stored[0].size, {"br": variant.digest})
        redirects = batch.put_bytes(b"rules of " + contents[0]).digest
        return batch.put_manifest(encode(Manifest(files, redirects)))


def _blobs(store: DiskStore) -> set[str]:
    return {path.name for path in (store.folder / "blobs").rglob("*") if path.is_file()}


def _digests(*contents: bytes) -> set[str]:
    return {hashlib.sha256(content).hexdigest() for content in contents}


def test_what_nobody_refers_to_goes_and_the_rest_stays(tmp_path: Path):
    store = DiskStore(tmp_path)
    kept, gone = _release(store, b"a", b"shared"), _release(store, b"b", b"shared")
    for name in _digests(b"a", b"b"):
        (tmp_path / "variants" / name[:2]).mkdir(parents=True)
        (tmp_path / "variants" / name[:2] / f"{name}.json").write_text("{}")
    swept = sweep(store, {kept}, older_than=_NOW)
    assert _blobs(store) == _digests(b"a", b"shared", b"variant of a", b"rules of a") | {kept}
    assert (swept.manifests, swept.blobs) == (1, 4)
    assert {path.stem for path in (tmp_path / "variants").rglob("*.json")} == _digests(b"a")
    with store.batch() as batch:
        assert batch.build_on(gone) is None
        assert batch.build_on(kept) is not None


def test_what_is_young_stays(tmp_path: Path):
    store = DiskStore(tmp_path)
    _release(store, b"a")
    before = _blobs(store)
    swept = sweep(store, set())
    assert (swept.manifests, swept.blobs, swept.size) == (0, 0, 0)
    assert _blobs(store) == before


def test_a_store_that_was_never_used_has_nothing_to_sweep(tmp_path: Path):
    assert sweep(DiskStore(tmp_path / "none"), set()).blobs == 0


def test_the_sweep_waits_for_a_packaging(tmp_path: Path):
    store = DiskStore(tmp_path)
    old = _release(store, b"a")
    swept = threading.Event()

    def work() -> None:
        sweep(store, set(), older_than=_NOW)
        swept.set()

    thread = threading.Thread(target=work)
    with store.batch() as batch:
        thread.start()
        assert batch.build_on(old) is not None
        assert not swept.wait(0.2)
        assert store.has(Digest(_digests(b"a").pop()))
    thread.join()
    assert not _blobs(store)


def test_dead_stagings_go(tmp_path: Path):
    store = DiskStore(tmp_path)
    _release(store, b"a")
    (tmp_path / "staging" / "dead").mkdir()
    (tmp_path / "staging" / "dead" / "file").write_text("x")
    sweep(store, set())
    assert (tmp_path / "staging" / "dead").exists()
    sweep(store, set(), older_than=_NOW)
    assert not list((tmp_path / "staging").iterdir())


def test_release_folders_go_unless_kept_or_young(tmp_path: Path):
    for name in ("1", "2", ".making-x"):
        (tmp_path / name / "files").mkdir(parents=True)
    assert sweep_folders(tmp_path, {"2"}) == 0
    assert sweep_folders(tmp_path, {"2"}, older_than=_NOW) == 2
    assert [path.name for path in tmp_path.iterdir()] == ["2"]
    assert sweep_folders(tmp_path / "none", set()) == 0
