import os
import threading
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.domain.hostname import is_hostname
from bot.domain.ids import ReleaseId
from jobs.site_entry import Entry, Watch
from jobs.sites import KEPT, Sites

entries = st.builds(
    Entry,
    st.integers(0, 9_999_999_999),
    st.integers(0, 10**18).map(ReleaseId),
    spa=st.booleans(),
    rules=st.booleans(),
    watch=st.sampled_from(Watch),
)
NOW = datetime(2026, 6, 1, tzinfo=UTC)


@pytest.fixture
def sites(tmp_path: Path) -> Sites:
    for number in range(1, 20):
        (tmp_path / "releases" / str(number) / "files").mkdir(parents=True)
    return Sites(tmp_path, clock=lambda: NOW)


def show(sites: Sites, activation: int, release: int, *, host: str = "a.localhost") -> None:
    sites.activate(host, activation=activation, release=ReleaseId(release), spa=False, rules=False)


def entry(activation: int, release: int) -> Entry:
    return Entry(activation, ReleaseId(release), spa=False, rules=False)


def age(home: Path, seconds: int, host: str = "a.localhost") -> None:
    """Make all present entries of a host so old."""
    moment = (NOW - timedelta(seconds=seconds)).timestamp()
    for path in (home / "hosts" / host).iterdir():
        os.utime(path, (moment, moment))


def names(home: Path, host: str = "a.localhost") -> list[str]:
    return sorted(path.name for path in (home / "hosts" / host).iterdir())


@given(entries)
def test_an_entry_survives_its_name(one: Entry):
    assert Entry.parse(one.name) == one
    assert "/" not in one.name


@given(entries, entries)
def test_the_newest_name_sorts_first(one: Entry, other: Entry):
    if one.activation > other.activation:
        assert one.name < other.name


@given(st.text())
def test_any_other_text_is_no_entry(text: str):
    parsed = Entry.parse(text)
    assert parsed is None or parsed.name == text


@pytest.mark.parametrize(
    "name",
    [
        "",
        "1.2.-",
        "9999999999.01.-",
        "9999999999.1.sr",
        "9999999999.1.",
        "9999999999.1.-@1:2",
        "٩999999999.1.-",
    ],
)
def test_strange_names_are_no_entries(name: str):
    assert Entry.parse(name) is None


@pytest.mark.parametrize(
    ("text", "good"),
    [
        ("a", True),
        ("shop.localhost", True),
        ("pr-1-shop.example.org", True),
        ("a" * 63, True),
        ("a" * 64, False),
        (".".join(["a" * 49] * 5), True),
        (".".join(["a" * 50] * 5) + ".x", False),
        ("", False),
        ("..", False),
        ("a..b", False),
        (".a", False),
        ("a.", False),
        ("-a", False),
        ("a-", False),
        ("A", False),
        ("a/b", False),
        ("a\n", False),
        ("ä", False),
        ("*.a", False),
    ],
)
def test_a_hostname_is_plain(text: str, good: bool):
    assert is_hostname(text) is good


def test_the_highest_activation_is_shown(sites: Sites):
    assert sites.active("a.localhost") is None
    show(sites, 1, 1)
    show(sites, 3, 2)
    show(sites, 2, 3)
    assert sites.active("a.localhost") == entry(3, 2)
    assert sites.releases() == {1, 2, 3}


def test_showing_twice_changes_nothing(sites: Sites, tmp_path: Path):
    show(sites, 1, 1)
    before = names(tmp_path)
    show(sites, 1, 1)
    assert names(tmp_path) == before


def test_one_activation_shows_one_release(sites: Sites, tmp_path: Path):
    show(sites, 1, 1)
    show(sites, 1, 2)
    assert names(tmp_path) == [entry(1, 2).name]


def test_what_can_not_be_shown_is_refused(sites: Sites):
    with pytest.raises(ValueError, match="not a hostname"):
        show(sites, 1, 1, host="..")
    with pytest.raises(ValueError, match="out of range"):
        show(sites, 10**10, 1)
    with pytest.raises(FileNotFoundError):
        show(sites, 1, 99)
    with pytest.raises(ValueError, match="not a hostname"):
        sites.retire("../releases")
    assert sites.hostnames() == []


def test_a_retired_host_leaves_nothing(sites: Sites, tmp_path: Path):
    show(sites, 1, 1)
    show(sites, 2, 2)
    sites.retire("a.localhost")
    sites.retire("a.localhost")
    assert [list((tmp_path / name).iterdir()) for name in ("hosts", "older", "trash")] == [[], [], []]


def test_pruning_keeps_five_and_what_was_replaced_just_now(sites: Sites, tmp_path: Path):
    for number in range(1, 9):
        show(sites, number, number)
    age(tmp_path, 30)
    sites.prune(NOW)
    assert len(names(tmp_path)) == 8
    age(tmp_path, 90)
    sites.prune(NOW)
    assert names(tmp_path) == [entry(number, number).name for number in range(8, 3, -1)]
    assert sites.active("a.localhost") == entry(8, 8)


def test_pruning_counts_from_the_replacement(sites: Sites, tmp_path: Path):
    for number in range(1, KEPT + 1):
        show(sites, number, number)
    age(tmp_path, 3600)
    show(sites, KEPT + 1, KEPT + 1)
    moment = (NOW - timedelta(seconds=10)).timestamp()
    os.utime(tmp_path / "hosts" / "a.localhost" / entry(KEPT + 1, KEPT + 1).name, (moment, moment))
    os.utime(tmp_path / "hosts" / "a.localhost" / entry(2, 2).name, (moment, moment))
    sites.prune(NOW)
    assert len(names(tmp_path)) == KEPT + 1


def test_older_releases_are_linked_newest_first_each_once(sites: Sites, tmp_path: Path):
    for activation, release in enumerate((1, 2, 1, 3, 2, 4), start=1):
        show(sites, activation, release)
    older = tmp_path / "older" / "a.localhost"
    links = [path for path in older.iterdir() if path.is_symlink()]
    assert {path.name: str(path.readlink()) for path in links} == {
        "1": "../../releases/2/files",
        "2": "../../releases/3/files",
        "3": "../../releases/1/files",
    }
    assert all(path.resolve().is_dir() for path in links)
    assert {path.name for path in older.iterdir() if not path.is_symlink()} == {"1.r2", "2.r3", "3.r1"}


def test_reconciling_agreement_does_nothing(sites: Sites):
    show(sites, 1, 1)
    assert sites.reconcile({"a.localhost": entry(1, 1)}) == []


def test_reconciling_repairs_what_differs(sites: Sites, tmp_path: Path):
    show(sites, 1, 1)
    show(sites, 9, 9)
    show(sites, 1, 2, host="unwanted.localhost")
    age(tmp_path, 120)
    age(tmp_path, 120, "unwanted.localhost")
    (tmp_path / "hosts" / "a.localhost" / "0.strange").touch()
    (tmp_path / "hosts" / "..strange").mkdir()
    wanted = {"a.localhost": entry(2, 3), "b.localhost": entry(1, 4), "c.localhost": entry(1, 99)}
    said = sites.reconcile(wanted)
    assert sites.hostnames() == ["a.localhost", "b.localhost"]
    assert (sites.active("a.localhost"), sites.active("b.localhost")) == (entry(2, 3), entry(1, 4))
    assert len(said) == 7
    assert sites.reconcile(wanted) == ["c.localhost: release 99 is to be shown, but its files are missing."]


def test_reconciling_leaves_what_is_newer_than_the_stores_word(sites: Sites, tmp_path: Path):
    show(sites, 2, 2)
    show(sites, 1, 1, host="b.localhost")
    age(tmp_path, 10)
    age(tmp_path, 10, "b.localhost")
    assert sites.reconcile({"a.localhost": entry(1, 1)}) == []
    assert (sites.active("a.localhost"), sites.active("b.localhost")) == (entry(2, 2), entry(1, 1))


def test_many_writers_end_with_the_highest(sites: Sites):
    def write(first: int) -> None:
        for activation in range(first, 60, 6):
            show(sites, activation, activation % 19 + 1)
            if activation % 10 == 0:
                sites.prune(NOW)

    threads = [threading.Thread(target=write, args=(first,)) for first in range(1, 7)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sites.active("a.localhost") == entry(59, 59 % 19 + 1)


def test_of_one_switch_the_entry_that_was_outdone_goes_and_the_one_to_come_stays(
    tmp_path: Path, sites: Sites
):
    told = replace(entry(1, 1), watch=Watch.TOLD)
    show(sites, 1, 1)
    sites.reconcile({"a.localhost": told})
    assert names(tmp_path) == [told.name]
    sites.tell("a.localhost")
    assert sites.active("a.localhost") == entry(1, 1)
    age(tmp_path, 100)
    folder = tmp_path / "hosts" / "a.localhost"
    older = (NOW - timedelta(seconds=200)).timestamp()
    os.utime(folder / entry(1, 1).name, (older, older))
    sites.prune(NOW)
    assert names(tmp_path) == [entry(1, 1).name, told.name]
    os.utime(folder / told.name, (older - 100, older - 100))
    sites.prune(NOW)
    assert names(tmp_path) == [entry(1, 1).name]


def test_a_visit_makes_no_entry_where_there_is_none(tmp_path: Path, sites: Sites):
    sites.tell("b.localhost")
    assert not (tmp_path / "hosts" / "b.localhost").exists()


def test_what_sleeps_needs_no_files(tmp_path: Path, sites: Sites):
    asleep = replace(entry(3, 77), watch=Watch.ASLEEP)
    assert sites.reconcile({"a.localhost": asleep}) == ["a.localhost: shows release 77 again."]
    assert sites.is_asleep("a.localhost")
    assert sites.releases() == {77}
    assert sites.releases(awake=True) == set()
    with pytest.raises(FileNotFoundError):
        sites.activate("a.localhost", activation=4, release=ReleaseId(77), spa=False, rules=False)
    assert not (tmp_path / "hosts" / "b.localhost").exists()
