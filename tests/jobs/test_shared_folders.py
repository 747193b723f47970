import os
from collections.abc import Mapping
from hashlib import sha256
from pathlib import Path

import pytest

from bot.domain.contents import File, Manifest, encode
from bot.domain.ids import Digest
from jobs.artifacts.disk import DiskStore
from jobs.artifacts.folders import SharedFolders
from jobs.artifacts.materialise import materialise
from jobs.artifacts.retention import sweep_folders
from jobs.artifacts.store import DamagedError

TREE = {"index.html": "start", "a/one.txt": "1", "a/b/two.txt": "2", "a/b/three.txt": "3", "c/four.txt": "4"}


class Shelf:
    """A store, the releases made from it, and the folders that they share."""

    def __init__(self, home: Path) -> None:
        self.store = DiskStore(home / "artifacts")
        self.releases = home / "edge" / "releases"
        self.shared = SharedFolders(home / "edge" / "folders")

    def manifest(self, tree: Mapping[str, str], variants: Mapping[str, str] | None = None) -> Digest:
        with self.store.batch() as batch:
            beside = {path: batch.put_bytes(text.encode()).digest for path, text in (variants or {}).items()}
            files = {
                path: File(
                    batch.put_bytes(text.encode()).digest,
                    len(text),
                    {"br": beside[path]} if path in beside else {},
                )
                for path, text in tree.items()
            }
            return batch.put_manifest(encode(Manifest(files)))

    def make(self, number: int, tree: Mapping[str, str], variants: Mapping[str, str] | None = None) -> Path:
        target = self.releases / str(number)
        materialise(self.store, self.manifest(tree, variants), target, shared=self.shared)
        return target / "files"

    def names(self) -> set[str]:
        return {path.name for path in self.shared.shared.iterdir()} - {"lock"}


@pytest.fixture
def shelf(tmp_path: Path) -> Shelf:
    return Shelf(tmp_path)


def read(files: Path) -> dict[str, str]:
    return {
        os.path.relpath(Path(place, name), files): Path(place, name).read_text()
        for place, _, names in os.walk(files, followlinks=True)
        for name in names
    }


def test_a_folder_that_did_not_change_is_there_once(shelf: Shelf):
    first = shelf.make(1, TREE)
    second = shelf.make(2, TREE | {"index.html": "other", "a/one.txt": "x"})
    assert read(first) == TREE
    assert read(second) == TREE | {"index.html": "other", "a/one.txt": "x"}
    assert (first / "c").resolve() == (second / "c").resolve()
    assert (first / "a" / "b").resolve() == (second / "a" / "b").resolve()
    assert (first / "a").resolve() != (second / "a").resolve()
    assert len(shelf.names()) == 4


def test_links_lead_nowhere_but_to_shared_folders_and_survive_a_move(shelf: Shelf, tmp_path: Path):
    files = shelf.make(1, TREE)
    links = [path for path in (*files.rglob("*"), *shelf.shared.shared.rglob("*")) if path.is_symlink()]
    assert {path.resolve().parent for path in links} == {shelf.shared.shared}
    (tmp_path / "edge").rename(tmp_path / "moved")
    assert read(tmp_path / "moved" / "releases" / "1" / "files") == TREE


def test_variants_make_another_folder(shelf: Shelf):
    plain = shelf.make(1, {"a/page.html": "page"})
    packed = shelf.make(2, {"a/page.html": "page"}, {"a/page.html": "pg"})
    assert read(plain) == {"a/page.html": "page"}
    assert read(packed) == {"a/page.html": "page", "a/page.html.br": "pg"}


def test_a_folder_stays_for_as_long_as_a_release_leads_to_it(shelf: Shelf):
    shelf.make(1, TREE)
    kept = shelf.make(2, TREE | {"a/one.txt": "x"})
    before = shelf.names()
    assert sweep_folders(shelf.releases, {"2"}, older_than=-1) == 1
    assert shelf.shared.sweep(shelf.releases) == 0
    assert shelf.names() == before
    assert shelf.shared.sweep(shelf.releases, older_than=-1) == 1
    assert read(kept) == TREE | {"a/one.txt": "x"}
    assert shelf.shared.sweep(shelf.releases, older_than=-1) == 0


def test_what_a_killed_process_left_goes(shelf: Shelf):
    shelf.make(1, {"a/x": "1"})
    for name in (".making-x", ".gone-y-1"):
        (shelf.shared.shared / name / "below").mkdir(parents=True)
    assert shelf.shared.sweep(shelf.releases, older_than=-1) == 2
    assert len(shelf.names()) == 1


def test_a_damaged_folder_is_made_anew_beside_the_old_one(shelf: Shelf):
    first = shelf.make(1, TREE)
    damaged = (first / "a" / "b" / "two.txt").resolve()
    damaged.unlink()
    damaged.write_text("longer than it was")
    assert read(shelf.make(2, TREE)) == TREE
    assert read(first)["a/b/two.txt"] == "longer than it was"
    assert read(shelf.make(3, TREE)) == TREE


def test_a_damaged_blob_makes_no_folder(shelf: Shelf):
    manifest = shelf.manifest({"a/x": "1"})
    blob = Path(shelf.store.path(Digest(sha256(b"1").hexdigest())))
    blob.chmod(0o644)
    blob.write_text("longer")
    with pytest.raises(DamagedError):
        materialise(shelf.store, manifest, shelf.releases / "1", shared=shelf.shared)
    assert shelf.names() == set()
    assert not list(shelf.releases.iterdir())
