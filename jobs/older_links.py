"""What a hostname showed before, for pages loaded just before a switch that ask for their scripts after it.

`older/<hostname>/1` to `4` link to the files of releases shown before; the empty file `1.r<release>` beside a
link tells whose files it leads to.
"""

import secrets
from collections.abc import Sequence
from pathlib import Path

from jobs.site_entry import Entry

KEPT = 5
"""Entries of a hostname that stay, the present one and those before it."""
OLDER = KEPT - 1


def link(folder: Path, entries: Sequence[Entry]) -> None:
    """Link the releases behind the newest of a hostname's entries, each once, newest first."""
    entries = [entry for entry in entries if entry.moved_to is None]
    newest = max(entries, key=lambda entry: entry.activation, default=None)
    if newest is None:
        return
    earlier = sorted(entries, key=lambda entry: -entry.activation)
    releases = [r for r in dict.fromkeys(entry.release for entry in earlier) if r != newest.release]
    if not releases and not folder.exists():
        return
    for number in range(1, OLDER + 1):
        target = f"../../releases/{releases[number - 1]}/files" if number <= len(releases) else None
        _lead(folder / str(number), target)
    if folder.exists():
        marks = {f"{number}.r{release}" for number, release in enumerate(releases[:OLDER], start=1)}
        _mark(folder, marks)


def _lead(path: Path, target: str | None) -> None:
    if target is None:
        path.unlink(missing_ok=True)
    elif not path.is_symlink() or str(path.readlink()) != target:
        path.parent.mkdir(exist_ok=True)
        fresh = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
        fresh.symlink_to(target)
        fresh.replace(path)


def _mark(folder: Path, wanted: set[str]) -> None:
    present = {path.name for path in folder.glob("[0-9].r*")}
    for name in wanted - present:
        (folder / name).touch()
    for name in present - wanted:
        (folder / name).unlink(missing_ok=True)
