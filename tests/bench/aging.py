"""Makes all that an instance keeps a year older, as if its clock had gone on, while it does not run."""

import os
from datetime import timedelta
from pathlib import Path

from bot.clock import utc_now
from bot.store import file, releases, retention
from bot.store.engine import Engine, reading, writing
from bot.store.schema import Moment, metadata
from jobs.artifacts.disk import DiskStore
from jobs.git.upkeep import PACKED
from jobs.retention.releases import Releases
from jobs.sites import Sites
from tests.running import Slipway

AGE = timedelta(days=400)
_AGED = ("logs/*.gz", "caches/**/*", "trees/*/index")


def make_older(slipway: Slipway) -> None:
    """Move every moment of the store and of files back."""
    _age_rows(slipway.engine)
    for pattern in _AGED:
        for path in slipway.home.glob(pattern):
            _age(path)
    for mirror in slipway.home.glob("mirrors/*.git"):
        (mirror / PACKED).touch()
        _age(mirror / PACKED)


def waive_the_hour(slipway: Slipway) -> None:
    """Prune what an hour would still keep: blobs and folders can't be made older."""
    settings = slipway.settings
    artifacts, sites = DiskStore(settings.artifacts), Sites(settings.edge_home)
    Releases(slipway.engine, settings, artifacts, sites, utc_now, older_than=-1).prune()


def is_pruned(slipway: Slipway) -> bool:
    """Whether the sweep did what its rules say, down to the last one."""
    with reading(slipway.engine) as tx:
        rows = retention.held_deliveries(tx).count == 1
        rows = rows and retention.held_deployments(tx) <= retention.SPARED
        kept = {release.id for release in releases.kept(tx)}
    rows = rows and Sites(slipway.settings.edge_home).releases() <= kept
    return rows and not list(slipway.home.glob("trees/*/tree")) and not file.free_bytes(slipway.engine)


def _age_rows(engine: Engine) -> None:
    microseconds = AGE // timedelta(microseconds=1)
    with writing(engine) as tx:
        for table in metadata.sorted_tables:
            moments = [column.name for column in table.columns if isinstance(column.type, Moment)]
            if moments and table.name != "singletons":
                changes = ", ".join(f"{name} = {name} - {microseconds}" for name in moments)
                tx.exec_driver_sql(f"UPDATE {table.name} SET {changes}")


def _age(path: Path) -> None:
    moment = path.stat().st_mtime - AGE.total_seconds()
    os.utime(path, (moment, moment))
