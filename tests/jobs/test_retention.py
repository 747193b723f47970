"""Each part of the home is held to its rule, and what is in use stays."""

import gzip
import os
from collections.abc import Generator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from bot.domain.app import App
from bot.domain.environment import EnvironmentKind
from bot.domain.ids import DeploymentId, Digest, ReleaseId, Sha, TenantId
from bot.logs.spool import archive_path, read_archive
from bot.settings import Settings
from bot.store import apps
from bot.store.apps import NewApp
from bot.store.engine import writing
from jobs import flocks
from jobs.dependencies import Dependencies
from jobs.git import upkeep
from jobs.git.command import locked
from jobs.git.mirrors import Mirrors
from jobs.git.remotes import mirror_name
from jobs.retention.caches import Caches
from jobs.retention.logs import Logs
from jobs.retention.mirrors import MirrorFolders
from jobs.retention.trees import WorkTrees
from jobs.sites import Sites
from jobs.table_upkeep import GRACE, TableUpkeep
from tests.fakes.repository import Repository
from tests.instance import Instance

DAY = 86_400.0


@pytest.fixture
def instance(tmp_path: Path) -> Generator[Instance]:
    made = Instance(tmp_path / "home")
    yield made
    made.close()


def older(path: Path, days: float) -> None:
    moment = path.stat().st_mtime - days * DAY
    os.utime(path, (moment, moment))


def settings(instance: Instance, **changes: int) -> Settings:
    return Settings.model_validate({**instance.settings.model_dump(), **changes})


def archive(instance: Instance, deployment: int, *, days: float, size: int = 100) -> Path:
    path = archive_path(instance.settings.home, DeploymentId(deployment))
    path.parent.mkdir(exist_ok=True)
    line = b'{"n":1,"at":"2026-01-31T12:00:00.123Z","step":"build","stream":"stdout","text":"hello"}\n'
    path.write_bytes(gzip.compress(line) + gzip.compress(os.urandom(size)))
    older(path, days)
    return path


def test_logs_go_by_age_by_size_and_with_their_deployment(instance: Instance):
    app = instance.app("shop")
    for number in range(5):
        instance.push(app, f"{number:040x}")
    old = archive(instance, 1, days=91)
    too_much = archive(instance, 2, days=3, size=600_000)
    kept = [archive(instance, 3, days=2, size=600_000), archive(instance, 4, days=1)]
    orphan = archive(instance, 99, days=0)
    rule = Logs(instance.engine, settings(instance, keep_logs_mib=1), instance.now)
    lines = read_archive(instance.settings.home, DeploymentId(1))
    assert next(lines).text == "hello"
    free = rule.look().free_now
    freed = rule.prune()
    assert (freed.count, freed.size) == (3, free)
    assert [path.exists() for path in (old, too_much, *kept, orphan)] == [False, False, True, True, False]
    # Whoever read it reads on.
    assert list(lines) == []
    assert rule.prune().count == 0


def dependencies(instance: Instance, app: App) -> Dependencies:
    return Dependencies(instance.settings.home, app.id)


def test_caches_go_unused_too_large_or_without_their_app(instance: Instance, tmp_path: Path):
    app = instance.app("shop")
    cache = dependencies(instance, app)
    home = instance.settings.home / "caches"
    (tmp_path / "root" / "node_modules" / "x").mkdir(parents=True)
    for name in ("a", "b"):
        assert cache.save(Digest(name * 64), tmp_path / "root")
    older(home / "1" / "deps" / ("a" * 64), 31)
    with cache.downloads(EnvironmentKind.PRODUCTION) as downloads:
        (downloads / "package.tgz").write_bytes(b"x" * 3 * 1024 * 1024)
    with cache.downloads(EnvironmentKind.PREVIEW) as previews:
        (previews / "package.tgz").write_bytes(b"x")
    (home / "77" / "deps").mkdir(parents=True)
    (home / "index").mkdir()
    (home / "index" / "1.msgpack").write_bytes(b"young")
    rule = Caches(instance.engine, settings(instance, keep_downloads_mib=2), instance.now)
    assert rule.look().count == 4
    assert rule.look().free_now > 3 * 1024 * 1024
    rule.prune()
    assert sorted(path.name for path in home.iterdir()) == ["1", "index"]
    assert [path.name for path in (home / "1" / "deps").iterdir() if path.is_dir()] == ["b" * 64]
    assert not downloads.exists()
    assert (previews / "package.tgz").exists()
    assert (home / "index" / "1.msgpack").exists()
    with cache.downloads(EnvironmentKind.PRODUCTION) as again:
        assert list(again.iterdir()) == []
    assert rule.prune().count == 0


def test_a_cache_that_a_build_uses_stays(instance: Instance, tmp_path: Path):
    app = instance.app("shop")
    cache = dependencies(instance, app)
    (tmp_path / "root" / "node_modules").mkdir(parents=True)
    cache.save(Digest("a" * 64), tmp_path / "root")
    entry = instance.settings.home / "caches" / "1" / "deps" / ("a" * 64)
    older(entry, 31)
    rule = Caches(instance.engine, settings(instance, keep_downloads_mib=1), instance.now)
    with cache.downloads(EnvironmentKind.PRODUCTION) as downloads:
        (downloads / "package.tgz").write_bytes(b"x" * 2 * 1024 * 1024)
        copying = flocks.take(entry.parent / ".lock", flocks.SHARED)
        assert rule.prune().count == 0
        os.close(copying)
        assert (downloads / "package.tgz").exists()
    assert rule.prune().count == 2
    assert not entry.exists()


def test_a_work_tree_goes_when_nobody_deployed_for_long_but_not_under_a_deploy(instance: Instance):
    app = instance.app("shop")
    environment = instance.push(app, "a" * 40).environment_id
    trees = instance.settings.home / "trees"
    for name in (str(environment), "99"):
        (trees / name / "tree" / "src").mkdir(parents=True)
        (trees / name / "index").touch()
        (trees / name / "lock").touch()
    rule = WorkTrees(instance.engine, instance.settings, instance.now)
    assert rule.prune().count == 1
    assert [path.name for path in trees.iterdir()] == [str(environment)]
    older(trees / str(environment) / "index", 31)
    with locked(trees / str(environment) / "lock", 1):
        assert rule.prune().count == 0
    assert rule.look().count == 1
    assert rule.prune().count == 1
    assert rule.look().count == 0
    assert not (trees / str(environment) / "tree").exists()


def mirrored(instance: Instance, repository: Repository, slug: str) -> tuple[App, Mirrors]:
    with writing(instance.engine) as tx:
        app = apps.insert(tx, NewApp(slug, f"acme/{slug}", repository.url, "main"), instance.now())
    return app, Mirrors(instance.settings, lambda _: None)


def test_a_mirror_keeps_commits_of_recent_deployments_and_goes_with_its_app(
    instance: Instance, tmp_path: Path
):
    repository = Repository(tmp_path / "shop")
    app, mirrors = mirrored(instance, repository, "shop")
    first = repository.commit({"index.html": "one"})
    lost = repository.commit({"index.html": "two"}, onto=first)
    mirrors.fetch_commit(app, lost)
    head = repository.commit({"index.html": "three"}, onto=first)
    mirrors.fetch_commit(app, head)
    instance.push(app, head)
    stranger = instance.settings.home / "mirrors" / mirror_name("file:///srv/gone.git", TenantId(1))
    stranger.mkdir()
    rule = MirrorFolders(instance.engine, instance.settings, mirrors.git, instance.now)
    assert rule.look().count == 2
    assert rule.prune().count == 1
    assert not stranger.exists()
    refs = mirrors.git.must([f"--git-dir={mirrors.path(app)}", "for-each-ref", "refs/deploy/"]).decode()
    assert head in refs
    assert lost not in refs
    # The objects stay for two weeks: whoever was just about to build it does.
    assert mirrors.has(app, lost)
    assert not mirrors.fetch_commit(app, lost)


def test_a_mirror_is_packed_once_a_week_and_goes_on(instance: Instance, tmp_path: Path):
    repository = Repository(tmp_path / "shop")
    app, mirrors = mirrored(instance, repository, "shop")
    for number in range(5):
        mirrors.fetch_commit(app, repository.commit({"index.html": str(number)}))
    mirror = mirrors.path(app)
    now = datetime.now(UTC).timestamp()
    assert not upkeep.is_due(mirror, now)
    assert upkeep.is_due(mirror, now + 8 * DAY)
    upkeep.pack(mirrors.git, mirror)
    assert len(list((mirror / "objects" / "pack").glob("*.pack"))) == 1
    assert not upkeep.is_due(mirror, now + 8 * DAY)
    last = Sha("")
    for number in range(42):
        last = repository.commit({"index.html": f"again {number}"})
        mirrors.fetch_commit(app, last)
    assert mirrors.message(app, last) == "a change"


def test_a_mirror_that_is_fetched_into_is_left_alone(instance: Instance, tmp_path: Path):
    mirror = instance.settings.home / "mirrors" / mirror_name("file:///srv/gone.git", TenantId(1))
    mirror.mkdir(parents=True)
    with locked(mirror.with_suffix(".lock"), 1), pytest.raises(TimeoutError):
        upkeep.remove(mirror, tmp_path / "trash", lambda _: None, seconds=0.1)
    assert mirror.exists()


def test_links_of_a_hostname_that_is_not_shown_any_more_go_after_a_minute(tmp_path: Path):
    steady = 0.0
    sites = Sites(tmp_path)
    table = TableUpkeep(sites, lambda: steady)
    for number in (1, 2):
        (tmp_path / "releases" / str(number) / "files").mkdir(parents=True)
        sites.activate("shop.localhost", activation=number, release=ReleaseId(number), spa=False, rules=False)
    (tmp_path / "older" / "gone.localhost").mkdir()
    assert table.forget_retired() == 0
    steady += GRACE.total_seconds() + 5
    assert table.forget_retired() == 1
    assert [path.name for path in (tmp_path / "older").iterdir()] == ["shop.localhost"]
