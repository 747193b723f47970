"""`slipway doctor --disk`: what is kept, by which rule, what it takes, and what of it could go now."""

import json
import shutil
import subprocess
import sys
from typing import Any

import typer
from rich.console import Console
from rich.table import Table

from bot.settings import Settings

_UNITS = ("B", "KiB", "MiB", "GiB", "TiB")


def show_disk(settings: Settings, *, as_json: bool) -> None:
    """Print a row per part. Exit code 1 when the parts can't be looked at."""
    # The rules are the sweep's: its own package is asked, in a process of its own.
    command = [sys.executable, "-m", "jobs.doctor", "--disk"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        reason = (done.stderr.strip().splitlines() or ["no reason given"])[-1]
        sys.stderr.write(f"The disk can't be looked at: {reason}\nRun 'slipway doctor' for what is wrong.\n")
        raise typer.Exit(1)
    parts: list[dict[str, Any]] = json.loads(done.stdout)
    if as_json:
        sys.stdout.write(json.dumps([_row(part) for part in parts]) + "\n")
        return
    _print(parts)
    free = shutil.disk_usage(settings.home).free
    sys.stdout.write(f"\n{in_units(free)} free at {settings.home}. The sweep prunes every hour.\n")


def _row(part: dict[str, Any]) -> dict[str, Any]:
    """A part as scripts read it."""
    return {
        "part": part["name"],
        "kept": part["kept"],
        "count": part["count"],
        "bytes": part["size"],
        "freeNow": part["free_now"],
    }


def _print(parts: list[dict[str, Any]]) -> None:
    table = Table(box=None, pad_edge=False, header_style="bold")
    for heading in ("part", "count", "on disk", "free now"):
        table.add_column(heading, justify="left" if heading == "part" else "right", no_wrap=True)
    table.add_column("kept", overflow="fold")
    for part in parts:
        # Rows alone take no disk of their own: it is the store's.
        sizes = [in_units(size) if part["size"] else "" for size in (part["size"], part["free_now"])]
        table.add_row(part["name"], f"{part['count']:,}", *sizes, part["kept"])
    Console(highlight=False).print(table)


def in_units(size: int) -> str:
    """Bytes as people read them, such as `3.4 MiB`."""
    amount = float(size)
    for unit in _UNITS:
        if amount < 1024 or unit == _UNITS[-1]:
            return f"{amount:.0f} {unit}" if unit == "B" else f"{amount:.1f} {unit}"
        amount /= 1024
    raise AssertionError(size)
