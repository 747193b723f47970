"""Opens the store, and hands out transactions: `reading` sees one moment, `writing` is alone."""

import sqlite3
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from sqlalchemy import Connection, Engine, ExceptionContext, event
from sqlalchemy.exc import OperationalError, SQLAlchemyError
from sqlalchemy.pool import ConnectionPoolEntry, StaticPool
from sqlalchemy.util import LRUCache

from bot.store.counts import OPTION, Counts
from bot.store.schema import metadata

Tx = Connection
"""A connection inside a transaction; every function of the store takes one."""

StoreError = SQLAlchemyError
"""Whatever goes wrong in the store: it is locked, out of reach, or not what it should be."""
StoreUnavailableError = OperationalError
"""The store can't be used at present: it is locked, its disk is full or read-only, its server is away."""
BUSY_SECONDS = 10
_STATEMENTS = 500
_CONNECTIONS = 16
WAL_BYTES = 16 * 1024 * 1024
"""What SQLite's log of writes is cut to once all of it is in the database."""


def open_engine(url: str, *, busy_seconds: float = BUSY_SECONDS) -> Engine:
    """Open the store at a SQLAlchemy URL; a SQLite file and its folder are made when missing.

    `busy_seconds` is how long a transaction waits for another process's on SQLite before it fails.
    """
    if not url.startswith("sqlite"):
        return sa.create_engine(url, pool_pre_ping=True, execution_options={OPTION: Counts()})
    path = Path(url.removeprefix("sqlite:///"))
    path.parent.mkdir(parents=True, exist_ok=True)
    engine = sa.create_engine(
        url,
        connect_args={"timeout": busy_seconds, "check_same_thread": False},
        execution_options={"compiled_cache": LRUCache[Any, Any](_STATEMENTS), OPTION: Counts()},
        # As many as there are threads: they are made and closed for each request else.
        pool_size=_CONNECTIONS,
        max_overflow=-1,
    )
    event.listen(engine, "connect", _prepare_sqlite)
    event.listen(engine, "begin", _begin_sqlite)
    event.listen(engine, "handle_error", _drop_read_only)
    return engine


def rehearsal_of(engine: Engine) -> Engine | None:
    """An empty store in memory; what it makes of statements, `engine` need not make again.

    Both share the dialect and the statements that it has compiled. None where there is no store in memory.
    """
    if engine.dialect.name != "sqlite":
        return None
    pool = StaticPool(_in_memory, dialect=engine.dialect)
    stage = Engine(pool, engine.dialect, engine.url)
    event.listen(stage, "connect", _prepare_sqlite)
    event.listen(stage, "begin", _begin_sqlite)
    metadata.create_all(stage)
    options = engine.get_execution_options()
    return stage.execution_options(**{name: options[name] for name in ("compiled_cache", OPTION)})


@contextmanager
def reading(engine: Engine) -> Generator[Tx]:
    """A transaction that only reads."""
    with engine.connect() as tx, tx.begin():
        yield tx


@contextmanager
def writing(engine: Engine, *, synced: bool = True) -> Generator[Tx]:
    """A transaction that may write; on SQLite it takes the write lock at once.

    A lock that is taken later, at the first write, can fail with SQLITE_BUSY without waiting when
    another writer came in between (https://www.sqlite.org/lang_transaction.html).

    What is not `synced` is seen by everybody at once and outlives every process, but not a loss of power,
    unless one that is synced came after it: lost is the end of the history, never a part of its middle
    (https://www.sqlite.org/pragma.html#pragma_synchronous). Fit for what is done anew after such a loss, and
    has given out no number that anybody outside of the store keeps.
    """
    options = {"slipway_writing": True, "slipway_synced": synced}
    with engine.connect().execution_options(**options) as tx, tx.begin():
        yield tx


def _in_memory() -> Any:
    return sqlite3.connect(":memory:", check_same_thread=False)


def reason_of(error: OperationalError) -> tuple[str, str]:
    """SQLite's name of a fault, such as `SQLITE_BUSY` (empty for other stores), and what it says."""
    cause = error.orig
    return str(getattr(cause, "sqlite_errorname", "")), str(cause or error).strip().splitlines()[0]


def _prepare_sqlite(connection: Any, _entry: ConnectionPoolEntry) -> None:
    assert isinstance(connection, sqlite3.Connection)
    # Our own BEGIN decides between a read and a write transaction; the driver's would always defer.
    connection.isolation_level = None
    # A new file gets it, before its first table; said again, it would wait for whoever writes.
    if connection.execute("PRAGMA auto_vacuum").fetchall() == [(0,)]:
        connection.execute("PRAGMA auto_vacuum=INCREMENTAL").close()
    limit = f"journal_size_limit={WAL_BYTES}"
    for pragma in ("journal_mode=WAL", "synchronous=FULL", "foreign_keys=ON", limit):
        connection.execute(f"PRAGMA {pragma}").close()


def _drop_read_only(context: ExceptionContext) -> None:
    """Open files anew after they could not be written.

    Where a file can't be opened for writing SQLite opens it for reading, and that connection would stay
    so when the file system is writable again (https://www.sqlite.org/c3ref/open.html).
    """
    if str(getattr(context.original_exception, "sqlite_errorname", "")).startswith("SQLITE_READONLY"):
        context.is_disconnect = True


def _begin_sqlite(connection: Connection) -> None:
    options = connection.get_execution_options()
    if not options.get("slipway_writing", False):
        connection.exec_driver_sql("BEGIN")
        return
    # Within a transaction it can't be changed; only who writes syncs.
    wanted = "FULL" if options["slipway_synced"] else "NORMAL"
    if connection.info.get("synchronous", "FULL") != wanted:
        connection.exec_driver_sql(f"PRAGMA synchronous={wanted}")
        connection.info["synchronous"] = wanted
    connection.exec_driver_sql("BEGIN IMMEDIATE")
