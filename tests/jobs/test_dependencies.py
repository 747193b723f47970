"""Caches of dependencies: immutable, whole or absent, first wins, few."""

import os
import threading
from pathlib import Path

import pytest

from bot.domain.environment import EnvironmentKind
from bot.domain.ids import AppId, Digest
from jobs.dependencies import KEPT, Dependencies, key_of

KEY = Digest("a" * 64)


@pytest.fixture
def cache(tmp_path: Path) -> Dependencies:
    return Dependencies(tmp_path / "home", AppId(7))


def project(folder: Path, text: str = "one") -> Path:
    module = folder / "node_modules" / "left" / "index.js"
    module.parent.mkdir(parents=True)
    module.write_text(text)
    (folder / "node_modules" / ".bin").mkdir()
    (folder / "node_modules" / ".bin" / "left").symlink_to("../left/index.js")
    (folder / "packages" / "b" / "node_modules" / "x").mkdir(parents=True)
    return folder


def test_what_was_saved_comes_back_as_it_was_and_nothing_else(cache: Dependencies, tmp_path: Path):
    first = project(tmp_path / "first")
    (first / "src.js").write_text("source")
    assert cache.save(KEY, first)
    second = tmp_path / "second"
    assert cache.restore(KEY, second)
    assert (second / "node_modules/.bin/left").readlink() == Path("../left/index.js")
    assert (second / "node_modules/.bin/left").read_text() == "one"
    assert (second / "packages/b/node_modules/x").is_dir()
    assert not (second / "src.js").exists()


def test_a_build_that_writes_in_place_changes_only_its_own_copy(cache: Dependencies, tmp_path: Path):
    first = project(tmp_path / "first")
    cache.save(KEY, first)
    for name in ("first", "second"):
        cache.restore(KEY, tmp_path / name)
        with (tmp_path / name / "node_modules/left/index.js").open("r+") as file:
            file.write("BAD")
    cache.restore(KEY, tmp_path / "third")
    assert (tmp_path / "third/node_modules/left/index.js").read_text() == "one"


def test_an_unknown_key_is_a_miss_and_leaves_no_trace(cache: Dependencies, tmp_path: Path):
    assert not cache.restore(KEY, tmp_path / "root")
    assert not (tmp_path / "root").exists()


def test_nothing_is_kept_of_an_install_that_made_nothing(cache: Dependencies, tmp_path: Path):
    (tmp_path / "root").mkdir()
    assert not cache.save(KEY, tmp_path / "root")


def test_of_two_saves_at_once_one_wins_whole(cache: Dependencies, tmp_path: Path):
    roots = [project(tmp_path / name, name) for name in "abcdef"]
    saved: list[bool] = []

    def save(root: Path) -> None:
        saved.append(cache.save(KEY, root))

    threads = [threading.Thread(target=save, args=(root,)) for root in roots]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert saved.count(True) == 1
    assert cache.restore(KEY, tmp_path / "out")
    assert (tmp_path / "out/node_modules/left/index.js").read_text() in "abcdef"
    assert [path.name for path in (tmp_path / "home/caches/7/deps").iterdir() if path.name != ".lock"] == [
        KEY
    ]


def test_the_newest_used_entries_stay(cache: Dependencies, tmp_path: Path):
    root = project(tmp_path / "root")
    keys = [Digest(str(number) * 64) for number in range(KEPT + 2)]
    entries = tmp_path / "home/caches/7/deps"
    for age, key in enumerate(keys):
        cache.save(key, root)
        os.utime(entries / key, (1000 + age, 1000 + age))
        if age == KEPT - 1:
            cache.restore(keys[0], tmp_path / "used")
    kept = {path.name for path in entries.iterdir() if path.is_dir()}
    assert kept == {keys[0], keys[-1], keys[-2]}


def test_a_link_in_the_commit_does_not_lead_a_restore_out(cache: Dependencies, tmp_path: Path):
    cache.save(KEY, project(tmp_path / "first"))
    outside = tmp_path / "outside"
    outside.mkdir()
    (tmp_path / "second").mkdir()
    (tmp_path / "second/node_modules").symlink_to(outside)
    assert not cache.restore(KEY, tmp_path / "second")
    assert list(outside.iterdir()) == []


def test_downloads_are_one_build_s_at_a_time(cache: Dependencies):
    with cache.downloads(EnvironmentKind.PRODUCTION) as first:
        (first / "kept").touch()
        with (
            cache.downloads(EnvironmentKind.PRODUCTION) as second,
            cache.downloads(EnvironmentKind.PREVIEW) as third,
        ):
            assert second != first
            assert list(second.iterdir()) == list(third.iterdir()) == []
        assert not second.exists()
    with cache.downloads(EnvironmentKind.PRODUCTION) as later:
        assert later == first
        assert (later / "kept").exists()


@pytest.mark.parametrize("change", ["package-lock.json", "package.json", ".npmrc", "patches/left.patch"])
def test_the_key_changes_with_all_that_decides_an_install(tmp_path: Path, change: str):
    (tmp_path / "patches").mkdir()
    for name in ("package-lock.json", "package.json", "src.js"):
        (tmp_path / name).write_text("{}")
    locks = [tmp_path / "package-lock.json"]
    before = key_of(tmp_path, locks, ["npm"])
    (tmp_path / "src.js").write_text("changed")
    assert key_of(tmp_path, locks, ["npm"]) == before
    assert key_of(tmp_path, locks, ["npm", "11"]) != before
    (tmp_path / change).write_text("changed")
    assert key_of(tmp_path, locks, ["npm"]) != before


def test_without_a_lock_file_there_is_no_key(tmp_path: Path):
    assert key_of(tmp_path, [], ["npm"]) is None
