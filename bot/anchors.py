"""Whether the audit log is what was written; and anchors, which show that its end was cut off.

Rows hold each other, but nothing holds the last one. So its digest is written now and then to a file in
the home and to Slipway's own log: who cuts rows off must change those, too. Send one of them elsewhere.
"""

import os
import re
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from bot.log import logger
from bot.settings import Settings
from bot.store import audit
from bot.store.audit import Place
from bot.store.engine import Engine, Tx, reading


@dataclass(frozen=True)
class Verdict:
    """What a look at the whole log showed. `bad` is the first row that is wrong, `why` says how."""

    rows: int
    anchors: int
    bad: int | None = None
    why: str = ""


def anchor(engine: Engine, settings: Settings, now: datetime) -> bool:
    """Write the newest row's digest down, unless that was done already; whether it was now."""
    path = _file(settings)
    with reading(engine) as tx:
        last = audit.newest(tx)
    known = _read(path)
    if not last.id or (known and known[-1].id >= last.id):
        return False
    path.parent.mkdir(parents=True, exist_ok=True)
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    with os.fdopen(descriptor, "a") as file:
        file.write(f"{now:%Y-%m-%dT%H:%M:%SZ} {last.id} {last.digest.hex()}\n")
        file.flush()
        os.fsync(file.fileno())
    logger.info("audit anchor", row=last.id, digest=last.digest.hex())
    return True


def verify(tx: Tx, settings: Settings) -> Verdict:
    """Look at every row and every anchor."""
    before, count = audit.forgotten(tx), 0
    anchors = {one.id: one for one in _read(_file(settings)) if one.id >= before.id}
    unseen = dict(anchors)
    if (known := unseen.pop(before.id, before)) != before:
        return Verdict(0, len(anchors), known.id, _REWRITTEN)
    for row in audit.rows(tx, 0):
        count += 1
        if row["id"] <= before.id or not audit.is_whole(row, before.digest):
            return Verdict(count, len(anchors), row["id"], _BROKEN)
        before = Place(row["id"], row["digest"])
        if unseen.pop(before.id, before) != before:
            return Verdict(count, len(anchors), before.id, _REWRITTEN)
    lost = min(unseen, default=None)
    return Verdict(count, len(anchors), lost, _CUT if lost else "")


_LINE = re.compile(r"^\S+ (\d{1,18}) ([0-9a-f]{64})$", re.MULTILINE)
_BROKEN = "it is not what was written, or a row before it is missing"
_REWRITTEN = "the log was rewritten: an anchor of this row has another digest"
_CUT = "it is missing: an anchor knows it"


def _file(settings: Settings) -> Path:
    return settings.home / "audit" / "anchors.txt"


def _read(path: Path) -> list[Place]:
    if not path.exists():
        return []
    # A line that was not written whole, as on a full disk, says nothing.
    found = _LINE.findall(path.read_text())
    return [Place(int(number), bytes.fromhex(digest)) for number, digest in found]
