import os
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest

from bot.domain.ids import ReleaseId
from jobs.older_links import KEPT
from jobs.site_entry import Watch
from jobs.sites import Sites
from jobs.table_upkeep import TableUpkeep
from tests.jobs.sites_at_hand import HOST, entry, led_to, names, show, sites_below


class Time:
    """Steady time of one process."""

    def __init__(self) -> None:
        self.seconds = 1000.0

    def __call__(self) -> float:
        return self.seconds


@pytest.fixture
def sites(tmp_path: Path) -> Sites:
    return sites_below(tmp_path)


@pytest.fixture
def time() -> Time:
    return Time()


@pytest.fixture
def table(sites: Sites, time: Time) -> TableUpkeep:
    return TableUpkeep(sites, time)


def set_times(home: Path, moment: float, host: str = HOST) -> None:
    """As if all entries had been made at a moment, by a clock that was set since or not."""
    for path in (home / "hosts" / host).iterdir():
        os.utime(path, (moment, moment), follow_symlinks=False)


def test_pruning_keeps_five_and_what_was_replaced_within_a_minute(
    sites: Sites, table: TableUpkeep, time: Time, tmp_path: Path
):
    for number in range(1, 9):
        show(sites, number, number)
    for _ in range(2):
        table.prune()
        assert len(names(tmp_path)) == 8
        time.seconds += 59
    # What is replaced meanwhile has its own minute.
    show(sites, 9, 9)
    table.prune()
    assert names(tmp_path) == [entry(number, number).name for number in range(9, 3, -1)]
    time.seconds += 61
    table.prune()
    assert names(tmp_path) == [entry(number, number).name for number in range(9, 9 - KEPT, -1)]
    assert sites.active(HOST) == entry(9, 9)


def test_of_one_switch_the_entry_that_was_outdone_goes_and_the_one_to_come_stays(
    tmp_path: Path, sites: Sites, table: TableUpkeep, time: Time
):
    told = replace(entry(1, 1), watch=Watch.TOLD)
    show(sites, 1, 1)
    table.reconcile({HOST: told})
    assert names(tmp_path) == [told.name]
    sites.tell(HOST)
    assert sites.active(HOST) == entry(1, 1)
    folder = tmp_path / "hosts" / HOST
    now = datetime.now(UTC).timestamp()
    for moment, left in ((now, [entry(1, 1).name, told.name]), (now - 300, [entry(1, 1).name])):
        os.utime(folder / entry(1, 1).name, (now - 200, now - 200))
        os.utime(folder / told.name, (moment, moment))
        table.prune()
        time.seconds += 61
        table.prune()
        assert names(tmp_path) == left


def test_agreement_needs_no_repair(sites: Sites, table: TableUpkeep):
    show(sites, 1, 1)
    assert table.reconcile({HOST: entry(1, 1)}) == []


def test_what_differs_is_repaired(sites: Sites, table: TableUpkeep, time: Time, tmp_path: Path):
    show(sites, 1, 1)
    show(sites, 9, 9)
    show(sites, 1, 2, host="unwanted.localhost")
    (tmp_path / "hosts" / "empty.localhost").mkdir()
    (tmp_path / "hosts" / HOST / "0.strange").touch()
    (tmp_path / "hosts" / "..strange").mkdir()
    wanted = {HOST: entry(2, 3), "b.localhost": entry(1, 4), "c.localhost": entry(1, 99)}
    said = table.reconcile(wanted)
    assert sites.hostnames() == [HOST, "b.localhost", "empty.localhost", "unwanted.localhost"]
    time.seconds += 61
    said += table.reconcile(wanted)
    said += table.reconcile(wanted)
    assert sites.hostnames() == [HOST, "b.localhost"]
    assert (sites.active(HOST), sites.active("b.localhost")) == (entry(2, 3), entry(1, 4))
    lost = "c.localhost: release 99 is to be shown, but its files are missing."
    assert (len(said), said.count(lost)) == (10, 3)
    assert table.reconcile(wanted) == [lost]


@pytest.mark.parametrize("clock", [-3600, 0, 3600])
def test_what_is_newer_than_the_stores_word_has_a_minute_whatever_the_clock_says(
    sites: Sites, table: TableUpkeep, time: Time, tmp_path: Path, clock: int
):
    show(sites, 2, 2)
    show(sites, 1, 1, host="b.localhost")
    for host in (HOST, "b.localhost"):
        set_times(tmp_path, datetime.now(UTC).timestamp() - clock, host)
    for _ in range(3):
        assert table.reconcile({HOST: entry(1, 1)}) == []
        assert (sites.active(HOST), sites.active("b.localhost")) == (entry(2, 2), entry(1, 1))
        time.seconds += 29
    # The store caught up with the one, and never will with the other.
    assert table.reconcile({HOST: entry(2, 2)}) == [
        "b.localhost: taken down, since nothing is to be shown there."
    ]
    time.seconds += 61
    assert table.reconcile({HOST: entry(2, 2)}) == []


def test_a_hostname_that_comes_back_has_its_minute_again(sites: Sites, table: TableUpkeep, time: Time):
    show(sites, 1, 1)
    assert table.reconcile({}) == []
    time.seconds += 59
    show(sites, 2, 2)
    for seconds in (2, 58):
        assert table.reconcile({}) == []
        time.seconds += seconds
    time.seconds += 1
    assert len(table.reconcile({})) == 1


def test_what_is_shown_for_a_while_gets_its_link(
    sites: Sites, table: TableUpkeep, time: Time, tmp_path: Path
):
    show(sites, 1, 1)
    wanted = {HOST: entry(2, 2)}
    assert table.reconcile({HOST: entry(1, 1)}) == []
    time.seconds += 0.5
    show(sites, 2, 2)
    for seconds in (0.5, 0.4, 0.2):
        assert table.reconcile(wanted) == []
        assert led_to(tmp_path) is None
        time.seconds += seconds
    assert table.reconcile(wanted) == []
    assert led_to(tmp_path) == "2"


def test_a_link_that_leads_elsewhere_goes_before_another_comes(
    sites: Sites, table: TableUpkeep, time: Time, tmp_path: Path
):
    show(sites, 1, 1)
    show(sites, 2, 2)
    (tmp_path / "hosts" / HOST / "files").symlink_to("../../releases/1/files")
    said = table.reconcile({HOST: entry(2, 2)})
    assert said == ["a.localhost: removed a link that led to ../../releases/1/files."]
    assert led_to(tmp_path) is None
    for _ in range(2):
        assert table.reconcile({HOST: entry(2, 2)}) == []
        time.seconds += 2
    assert led_to(tmp_path) == "2"


def test_what_sleeps_needs_no_files(tmp_path: Path, sites: Sites, table: TableUpkeep):
    asleep = replace(entry(3, 77), watch=Watch.ASLEEP)
    assert table.reconcile({HOST: asleep}) == ["a.localhost: shows release 77 again."]
    assert sites.is_asleep(HOST)
    assert sites.releases() == {77}
    assert sites.releases(awake=True) == set()
    with pytest.raises(FileNotFoundError):
        sites.activate(HOST, activation=4, release=ReleaseId(77), spa=False, rules=False)
    assert not (tmp_path / "hosts" / "b.localhost").exists()
