import threading
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.domain.hostname import is_hostname
from bot.domain.ids import ReleaseId
from jobs.site_entry import Entry, Watch
from jobs.sites import Sites
from jobs.table_upkeep import TableUpkeep
from tests.jobs.sites_at_hand import HOST, entry, led_to, names, show, sites_below

entries = st.builds(
    Entry,
    st.integers(0, 9_999_999_999),
    st.integers(0, 10**18).map(ReleaseId),
    spa=st.booleans(),
    rules=st.booleans(),
    watch=st.sampled_from(Watch),
)


@pytest.fixture
def sites(tmp_path: Path) -> Sites:
    return sites_below(tmp_path)


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


def test_many_writers_end_with_the_highest(sites: Sites, tmp_path: Path):
    def write(first: int) -> None:
        for activation in range(first, 60, 6):
            show(sites, activation, activation % 19 + 1)
            sites.host(HOST).lead()
            if activation % 10 == 0:
                TableUpkeep(sites).prune()

    threads = [threading.Thread(target=write, args=(first,)) for first in range(1, 7)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sites.active("a.localhost") == entry(59, 59 % 19 + 1)
    assert led_to(tmp_path) in (None, str(59 % 19 + 1))


def test_a_visit_makes_no_entry_where_there_is_none(tmp_path: Path, sites: Sites):
    sites.tell("b.localhost")
    assert not (tmp_path / "hosts" / "b.localhost").exists()


@pytest.mark.parametrize(
    "other",
    [
        entry(2, 2),
        replace(entry(2, 2), rules=True),
        replace(entry(2, 2), unlisted=True),
        replace(entry(2, 2), watch=Watch.GUARDED),
        replace(entry(2, 2), watch=Watch.ASLEEP),
        replace(entry(2, 2), moved_to="b.localhost"),
    ],
)
def test_no_link_leads_from_one_release_to_another(sites: Sites, tmp_path: Path, other: Entry):
    show(sites, 1, 1)
    assert led_to(tmp_path) is None
    sites.host(HOST).lead()
    assert led_to(tmp_path) == "1"
    sites.put(HOST, other)
    assert led_to(tmp_path) is None


def test_only_what_is_files_and_nothing_else_is_served_by_its_link(sites: Sites, tmp_path: Path):
    for one in (replace(entry(1, 1), rules=True), replace(entry(2, 2), unlisted=True)):
        sites.put(HOST, one)
        sites.host(HOST).lead()
        assert led_to(tmp_path) is None
    sites.put(HOST, replace(entry(3, 3), spa=True))
    sites.host(HOST).lead()
    assert led_to(tmp_path) == "3"


def test_a_late_writer_changes_no_link(sites: Sites, tmp_path: Path):
    show(sites, 3, 3)
    sites.host(HOST).lead()
    show(sites, 2, 2)
    assert led_to(tmp_path) == "3"
    sites.host(HOST).remove([entry(3, 3).name])
    assert led_to(tmp_path) is None


def test_the_same_release_again_keeps_its_link(sites: Sites, tmp_path: Path):
    show(sites, 1, 1)
    sites.host(HOST).lead()
    show(sites, 2, 1)
    assert led_to(tmp_path) == "1"
