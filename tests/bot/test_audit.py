"""The audit log: who did what, in rows that hold each other."""

from pathlib import Path

import sqlalchemy as sa

from bot.clock import utc_now
from bot.domain.audit import Act
from bot.store import audit
from bot.store.engine import open_engine, reading, writing
from bot.store.migrate import migrate
from bot.store.schema import audit as table


def test_each_row_covers_the_one_before(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/slipway.db"
    engine = open_engine(url)
    migrate(engine)
    for number in range(3):
        with writing(engine) as tx:
            act = Act("app.created", "mona", "github:mona", subject=f"app {number}", after={"slug": "shop"})
            audit.record(tx, act, utc_now())
    with reading(engine) as tx:
        rows = tx.execute(sa.select(table).order_by(table.c.id)).mappings().all()
    engine.dispose()
    before = bytes(32)
    for row in rows:
        said = {name: row[name] for name in row if name not in ("id", "at", "digest")}
        assert row["digest"] == audit.digest_of(before, said, row["at"])
        before = row["digest"]
    assert [row["subject"] for row in rows] == ["app 0", "app 1", "app 2"]
