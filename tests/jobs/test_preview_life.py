"""Previews asleep, awake and gone: the edge and the store agree after a sweep, whatever was killed before."""

import hashlib
import os
import sys
from collections.abc import Callable, Generator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from bot.domain.app import App
from bot.domain.contents import File, Manifest, encode
from bot.domain.deployment import Commit, State, Trigger
from bot.domain.environment import Environment
from bot.domain.ids import Digest, ReleaseId, Sha
from bot.domain.protection import Protection
from bot.domain.pull import PullNumber, preview_name
from bot.domain.release import release_hostname
from bot.lifecycle import Order
from bot.previews import extend, protection_of, take_down
from bot.queue import connect
from bot.store import apps, environments, releases
from bot.store.engine import reading, writing
from bot.store.releases import NewRelease
from jobs.addresses import Addresses
from jobs.artifacts.disk import DiskStore
from jobs.gates import Gates
from jobs.housekeeping import Housekeeping
from jobs.sandbox import choose
from jobs.site_entry import Watch
from jobs.sites import Sites
from jobs.table_upkeep import TableUpkeep
from jobs.visits import Visits
from tests.instance import Instance

ALIAS = "pr-7-shop.localhost"
MUTATIONS = {"os.rename", "os.remove", "os.mkdir", "os.rmdir", "os.link", "os.symlink", "os.utime"}
KILLED = 9


class House(Instance):
    """One machine's edge, artifacts and store, as a sweep that was just started has them."""

    def __init__(self, home: Path) -> None:
        super().__init__(home)
        self.artifacts = DiskStore(self.settings.artifacts)
        self.shop = self.app("shop")
        self.open_to_all()
        self.start()

    def start(self) -> None:
        edge = self.settings.edge_home
        self.sites, self.gates, self.visits = Sites(edge), Gates(edge), Visits(edge)
        self.addresses = Addresses(self.engine, self.sites, self.gates, domain="localhost", clock=self.now)
        self.keeping = Housekeeping(
            settings=self.settings,
            engine=self.engine,
            artifacts=self.artifacts,
            sites=self.sites,
            gates=self.gates,
            addresses=self.addresses,
            lifecycle=self.lifecycle,
            sandbox=choose.choose(self.settings.model_copy(update={"sandbox": "none"})),
            redis=connect(self.settings.redis),
            clock=self.now,
            steady=lambda: self.now().timestamp(),
        )
        self.table = TableUpkeep(self.sites, lambda: self.now().timestamp())

    def open_to_all(self) -> None:
        self.change(protection="off")

    def change(self, **changes: Any) -> App:
        with writing(self.engine) as tx:
            return apps.change(tx, self.shop.id, changes)

    def deploy(self, environment: str, content: str = "hello", *, pull: int | None = None) -> ReleaseId:
        """Bring a release live, but for what the edge shows of it."""
        sha = Sha(hashlib.sha1(f"{environment}{content}{self.now()}".encode()).hexdigest())
        number = PullNumber(pull) if pull else None
        order = Order(self.shop, environment, "b", Commit(sha), Trigger.PUSH, "pushed", "mona", pull=number)
        with self.lifecycle.change() as change:
            self.lifecycle.request(change, order)
        claim = self.claim()
        manifest = self.manifest(content)
        new = NewRelease(self.shop.id, manifest, manifest, sha, 1, 1, False, claim.deployment.id)
        with writing(self.engine) as tx:
            # The same content is the same release.
            release = releases.by_key(tx, self.shop.id, manifest) or releases.insert(tx, new, self.now())
        self.leases.switch(claim, release.id)
        assert self.leases.finish(claim, State.SUCCEEDED, "it is live", release_id=release.id)
        return release.id

    def manifest(self, content: str) -> Digest:
        with self.artifacts.batch() as batch:
            page = batch.put_bytes(content.encode())
            rules = batch.put_bytes(b"/old / 301\n")
            file = File(digest=page.digest, size=page.size)
            made = batch.put_manifest(encode(Manifest({"index.html": file}, redirects=rules.digest)))
            batch.commit()
        return made

    def preview(self) -> Environment:
        with reading(self.engine) as tx:
            found = environments.by_name(tx, self.shop.id, preview_name(PullNumber(7)))
        assert found is not None
        return found

    def sweep(self) -> None:
        """What one round of the sweep does about previews."""
        self.keeping.tidy_previews()
        self.keeping.wake_visited()
        self.keeping.hear_visits()
        self.keeping.agree_with_edge()

    def settle(self) -> None:
        """Sweep, and again when what was left alone for a minute may go."""
        self.sweep()
        self.pass_by(timedelta(minutes=2))
        self.sweep()
        self.table.prune()

    def shown(self) -> dict[str, tuple[int, ReleaseId, Watch]]:
        """What the edge serves."""
        found = {name: self.sites.active(name) for name in self.sites.hostnames()}
        return {name: (one.activation, one.release, one.watch) for name, one in found.items() if one}

    def assert_agrees(self) -> None:
        """Hold the edge to the store: the hostnames, what they show, who may pass, and the files."""
        with reading(self.engine) as tx:
            wanted = self.addresses.wanted(tx)
        assert self.shown() == {
            name: (one.activation, one.release.id, one.watch) for name, one in wanted.items()
        }
        folder = self.settings.edge_home / "gates"
        gates = {path.name: self.gates.get(path.name) for path in folder.iterdir() if path.name[0] != "."}
        assert gates == {name: one.gate for name, one in wanted.items() if one.gate}
        awake = {one.release.id for one in wanted.values() if not one.watch.is_asleep}
        asleep = {one.release.id for one in wanted.values()} - awake
        there = self.settings.edge_home / "releases"
        # What nothing shows any more is left to retention.
        assert not {path.name for path in there.iterdir()} & {str(one) for one in asleep}
        for release in awake:
            assert (there / str(release) / "files" / "index.html").read_text()
            assert (there / str(release) / "rules.json").exists()
        assert self.visits.seen() == {}


@pytest.fixture
def house(tmp_path: Path) -> Generator[House]:
    made = House(tmp_path)
    yield made
    made.close()


def lasting(house: House, release: ReleaseId) -> str:
    with reading(house.engine) as tx:
        return release_hostname(releases.get(tx, release), "shop", "localhost")


def test_an_unused_preview_sleeps_and_wakes_at_a_visit(house: House):
    release = house.deploy("preview/pr-7", pull=7)
    house.deploy("production", "public")
    house.settle()
    house.assert_agrees()
    files = house.settings.edge_home / "releases" / str(release)
    house.pass_by(timedelta(hours=72))
    house.sweep()
    assert house.sites.is_asleep(ALIAS)
    assert house.sites.is_asleep(lasting(house, release))
    # Requests that came before it fell asleep may still read them.
    assert files.exists()
    house.settle()
    house.assert_agrees()
    assert not files.exists()
    production = house.sites.active("shop.localhost")
    assert production is not None
    assert production.watch is Watch.NOTHING
    house.visits.note(ALIAS)
    house.keeping.wake_visited()
    assert (files / "files" / "index.html").read_text() == "hello"
    assert not house.sites.is_asleep(ALIAS)
    assert house.preview().asleep_at is None
    house.sweep()
    house.assert_agrees()


def test_a_visit_counts_as_use_and_is_heard_of_once_an_hour(house: House):
    house.deploy("preview/pr-7", pull=7)
    house.sweep()
    assert house.shown()[ALIAS][2] is Watch.NOTHING
    house.pass_by(timedelta(hours=71))
    house.sweep()
    assert house.shown()[ALIAS][2] is Watch.TOLD
    house.visits.note(ALIAS)
    house.sites.tell(ALIAS)
    assert house.shown()[ALIAS][2] is Watch.NOTHING
    # The file's time is the machine's: as if the visit were now.
    moment = house.now().timestamp()
    os.utime(house.settings.edge_home / "visits" / ALIAS, (moment, moment))
    house.sweep()
    used = house.preview().used_at
    assert used is not None
    assert house.now() - used < timedelta(seconds=1)
    assert house.shown()[ALIAS][2] is Watch.NOTHING
    house.pass_by(timedelta(hours=71))
    house.sweep()
    assert house.preview().asleep_at is None
    house.pass_by(timedelta(hours=2))
    house.sweep()
    assert house.preview().asleep_at is not None


def test_a_push_wakes_what_sleeps(house: House):
    house.deploy("preview/pr-7", pull=7)
    house.pass_by(timedelta(hours=73))
    house.sweep()
    assert house.preview().asleep_at is not None
    house.deploy("preview/pr-7", "newer", pull=7)
    assert house.preview().asleep_at is None
    house.settle()
    house.assert_agrees()


def test_a_rollback_wakes_what_sleeps(house: House):
    first = house.deploy("preview/pr-7", pull=7)
    house.deploy("preview/pr-7", "newer", pull=7)
    house.pass_by(timedelta(hours=73))
    house.settle()
    assert house.sites.is_asleep(ALIAS)
    with house.lifecycle.change() as change:
        house.lifecycle.rollback(change, house.shop, "preview/pr-7", word=None, by="mona")
    house.sweep()
    assert not house.sites.is_asleep(ALIAS)
    claim = house.claim()
    house.leases.switch(claim, first)
    assert house.leases.finish(claim, State.SUCCEEDED, "it is live", release_id=first)
    house.settle()
    house.assert_agrees()
    assert house.shown()[ALIAS][1] == first


def test_a_preview_lives_as_long_as_somebody_said(house: House):
    house.deploy("preview/pr-7", pull=7)
    house.deploy("preview/pr-8", pull=8)
    with house.lifecycle.change() as change:
        extend(change, house.preview(), timedelta(days=40))
    house.pass_by(timedelta(days=31))
    house.settle()
    assert ALIAS in house.shown()
    assert "pr-8-shop.localhost" not in house.shown()
    house.pass_by(timedelta(days=10))
    house.settle()
    assert house.preview().archive_reason == "its time is over, as somebody set it"
    assert house.shown() == {}
    house.deploy("preview/pr-7", pull=7)
    house.settle()
    assert house.preview().expires_at is None
    house.assert_agrees()


def test_what_another_preview_shows_stays_at_the_edge(house: House):
    release = house.deploy("preview/pr-7", pull=7)
    house.pass_by(timedelta(hours=71))
    assert house.deploy("preview/pr-8", pull=8) == release
    house.pass_by(timedelta(hours=2))
    house.settle()
    house.assert_agrees()
    assert house.sites.is_asleep(ALIAS)
    assert not house.sites.is_asleep("pr-8-shop.localhost")
    assert not house.sites.is_asleep(lasting(house, release))


@pytest.mark.parametrize(
    ("setting", "private", "guarded"),
    [
        (None, True, Protection.LINK),
        (None, None, Protection.LINK),
        (None, False, Protection.OFF),
        ("auto", True, Protection.LINK),
        ("login", False, Protection.LOGIN),
        ("off", True, Protection.OFF),
    ],
)
def test_previews_of_private_repositories_are_protected(
    house: House, setting: str | None, private: bool | None, guarded: Protection
):
    changed = house.change(protection=setting, private=private)
    with reading(house.engine) as tx:
        assert protection_of(tx, changed) is guarded
    preview = house.deploy("preview/pr-7", pull=7)
    public = house.deploy("production", "public")
    house.settle()
    house.assert_agrees()
    watch = Watch.NOTHING if guarded is Protection.OFF else Watch.GUARDED
    shown = {name: one[2] for name, one in house.shown().items()}
    assert shown[ALIAS] is shown[lasting(house, preview)] is watch
    assert shown["shop.localhost"] is shown[lasting(house, public)] is Watch.NOTHING
    house.change(protection="off")
    house.settle()
    assert {one[2] for one in house.shown().values()} == {Watch.NOTHING}
    assert house.gates.get(ALIAS) is None


def test_what_production_shows_is_public_also_where_a_preview_showed_it(house: House):
    house.change(protection="link")
    release = house.deploy("preview/pr-7", pull=7)
    house.sweep()
    assert house.shown()[lasting(house, release)][2] is Watch.GUARDED
    assert house.deploy("production") == release
    house.sweep()
    assert house.shown()[lasting(house, release)][2] is Watch.NOTHING
    assert house.shown()[ALIAS][2] is Watch.GUARDED


def close(house: House) -> None:
    with house.lifecycle.change() as change:
        gone = take_down(change, house.preview(), "closed by a test")
    house.addresses.take_down(gone or house.preview())


def fall_asleep(house: House) -> None:
    house.sweep()
    house.pass_by(timedelta(minutes=2))
    house.keeping.agree_with_edge()


def wake(house: House) -> None:
    house.visits.note(ALIAS)
    house.keeping.wake_visited()


def ready_to_sleep(house: House) -> None:
    house.pass_by(timedelta(hours=73))


def asleep(house: House) -> None:
    house.pass_by(timedelta(hours=73))
    fall_asleep(house)


def awake(_house: House) -> None:
    pass


@pytest.mark.parametrize(
    ("before", "work", "protection"),
    [
        pytest.param(ready_to_sleep, fall_asleep, "off", marks=pytest.mark.slow),
        pytest.param(asleep, wake, "link", marks=pytest.mark.slow),
        (awake, close, "link"),
    ],
)
def test_whatever_is_killed_the_edge_agrees_after_a_sweep(
    house: House, before: Callable[[House], None], work: Callable[[House], None], protection: str
):
    house.change(protection=protection)
    point, code = 0, KILLED
    while code == KILLED:
        house.deploy("preview/pr-7", pull=7)
        house.settle()
        before(house)
        point += 1
        code = killed_at(house, point, work)
        house.start()
        house.settle()
        house.assert_agrees()
        close(house)
        house.settle()
        house.assert_agrees()
        assert house.shown() == {}
    assert code == 0
    assert point > 4


def killed_at(house: House, point: int, work: Callable[[House], None]) -> int:
    """Do a work in a process that dies at the edge's n-th change; its exit code, `KILLED` when it died."""
    house.engine.dispose()
    child = os.fork()
    if child == 0:
        _die_at(point, house.settings.edge_home)
        try:
            work(house)
        except BaseException as error:  # noqa: BLE001  nothing of the test may go on in here
            os.write(2, f"{error!r}\n".encode())
            os._exit(1)
        os._exit(0)
    _, status = os.waitpid(child, 0)
    return os.waitstatus_to_exitcode(status)


def _die_at(point: int, edge: Path) -> None:
    left = point

    def hook(event: str, args: tuple[Any, ...]) -> None:
        nonlocal left
        opens = event == "open" and isinstance(args[2], int) and args[2] & (os.O_WRONLY | os.O_RDWR)
        # A bare name is of a folder that is held open, as a hostname's is while it changes.
        is_bare = isinstance(args[0], str) and "/" not in args[0] if args else False
        if (opens or event in MUTATIONS) and (is_bare or str(edge) in str(args[:2])):
            left -= 1
            if left == 0:
                os._exit(KILLED)

    sys.addaudithook(hook)
