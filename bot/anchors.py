"""Whether the audit log is what was written; and anchors, which show that its end was cut off.

Rows hold each other, but nothing holds the last one. So its digest is written every minute to a file in
the home and to Slipway's own log: who cuts rows off must change those, too. Send one of them elsewhere.
Which rows retention took away from the beginning stands there, too: else anybody could say so.
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
    known = _newest(path)
    if not last.id or (known is not None and known.id >= last.id):
        return False
    _write(path, last, now)
    logger.info("audit anchor", row=last.id, digest=last.digest.hex())
    return True


def note_forgotten(settings: Settings, place: Place, now: datetime) -> None:
    """Write down that retention takes away all rows up to this one."""
    _write(_file(settings), place, now, _FORGOTTEN)


def verify(tx: Tx, settings: Settings) -> Verdict:
    """Look at every row and every anchor."""
    before, count = audit.forgotten(tx), 0
    known, taken = _read(_file(settings))
    anchors = {one.id: one for one in known if one.id >= before.id}
    if len(anchors) < len({one.id for one in known}) and before not in taken:
        return Verdict(0, len(anchors), before.id, _TAKEN)
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


_FORGOTTEN = " forgotten"
_LINE = re.compile(rf"^\S+ (\d{{1,18}}) ([0-9a-f]{{64}})({_FORGOTTEN})?$", re.MULTILINE)
_TAIL = 64 * 1024
_BROKEN = "it is not what was written, or a row before it is missing"
_REWRITTEN = "the log was rewritten: an anchor of this row has another digest"
_TAKEN = "it, or rows before it, are missing, and retention did not take them away"
_CUT = "it is missing: an anchor knows it"


def _file(settings: Settings) -> Path:
    return settings.home / "audit" / "anchors.txt"


def _write(path: Path, place: Place, now: datetime, what: str = "") -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    with os.fdopen(descriptor, "a") as file:
        file.write(f"{now:%Y-%m-%dT%H:%M:%SZ} {place.id} {place.digest.hex()}{what}\n")
        file.flush()
        os.fsync(file.fileno())


def _newest(path: Path) -> Place | None:
    """The newest anchor, without a look at the whole file."""
    if not path.exists():
        return None
    with path.open("rb") as file:
        file.seek(max(0, path.stat().st_size - _TAIL))
        anchors = _parsed(file.read().decode(errors="replace"))[0]
    return anchors[-1] if anchors else None


def _read(path: Path) -> tuple[list[Place], list[Place]]:
    return _parsed(path.read_text()) if path.exists() else ([], [])


def _parsed(text: str) -> tuple[list[Place], list[Place]]:
    """Anchors, and up to where rows were forgotten."""
    # A line that was not written whole, as on a full disk, says nothing.
    found = [(Place(int(one[1]), bytes.fromhex(one[2])), one[3]) for one in _LINE.finditer(text)]
    return [place for place, taken in found if not taken], [place for place, taken in found if taken]
