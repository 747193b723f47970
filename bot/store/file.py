"""The store's file on SQLite: gives back unused room, and keeps the log of writes short."""

from pathlib import Path

from bot.store.engine import WAL_BYTES, Engine, reading, writing

_PAGES = 256
"""Pages given back in one transaction: a few milliseconds."""
_SPARE_PAGES = 1024
"""Free pages that stay: they are used again soon."""
_PATIENCE_MILLISECONDS = 200


def is_file(engine: Engine) -> bool:
    """Whether the store is a file of ours; PostgreSQL tends its own."""
    return engine.dialect.name == "sqlite"


def size_of(engine: Engine) -> int:
    """Bytes on disk of the file and of its log of writes."""
    return sum(_size(path) for path in (_path(engine), _log(engine)))


def free_bytes(engine: Engine) -> int:
    """Bytes of the file that nothing uses and that `give_back` would give back."""
    with reading(engine) as tx:
        free, size = (
            tx.exec_driver_sql(f"PRAGMA {name}").scalar_one() for name in ("freelist_count", "page_size")
        )
    return max(0, free - _SPARE_PAGES) * size


def give_back(engine: Engine) -> int:
    """Give one portion of unused pages back to the disk; how many bytes. Ask again until it is 0."""
    before = free_bytes(engine)
    if before == 0:
        return 0
    with writing(engine) as tx:
        # Each step of the statement frees a page: it is read to its end, though it has no columns.
        cursor = tx.connection.cursor()
        cursor.execute(f"PRAGMA incremental_vacuum({_PAGES})")
        cursor.fetchall()
        cursor.close()
    return before - free_bytes(engine)


def shorten_log(engine: Engine) -> None:
    """Bring the log of writes into the file when it has grown long, as it does while others always read.

    A writer waits at most a fifth of a second for this.
    """
    if _size(_log(engine)) <= WAL_BYTES:
        return
    connection = engine.raw_connection()
    try:
        cursor = connection.cursor()
        # The first does the work without a lock; so the second, which has it, is quick.
        for order in (
            f"busy_timeout={_PATIENCE_MILLISECONDS}",
            "wal_checkpoint(PASSIVE)",
            "wal_checkpoint(TRUNCATE)",
        ):
            cursor.execute(f"PRAGMA {order}")
            cursor.fetchall()
        cursor.close()
    finally:
        # It has another patience than the others now.
        connection.invalidate()
        connection.close()


def _path(engine: Engine) -> Path:
    return Path(engine.url.database or "")


def _log(engine: Engine) -> Path:
    return _path(engine).with_name(f"{_path(engine).name}-wal")


def _size(path: Path) -> int:
    try:
        return path.stat().st_blocks * 512
    except FileNotFoundError:
        return 0
