"""The web process: how long its start takes, and what memory it has when it idles, as `ps` shows it."""

import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from statistics import median

import httpx
import psutil

from tests.bench.figures import Report, Target, spread
from tests.bench.machine import cpu_seconds
from tests.valkey import Valkey
from tests.web import Web

NAME = "idle"
TITLE = "The web process: from its start to its first answer, and its memory when it idles"
MIB = 1024 * 1024
KINDS = ("/health", "/", "/api/v1/apps", "/schema/slipway.json")
"""A request of each kind: for machines, for people, of the API."""
DOCUMENTATION = ("/api/docs", "/api/v1/openapi.json")


def measure(count: int, seconds: float) -> Report:
    """Start it several times, each with a home of its own."""
    del seconds
    with Valkey(fsync="no") as valkey:
        found = [_one(valkey.url) for _ in range(count)]
    walls, cpus, started, asked, documented = zip(*found, strict=True)
    report = Report(NAME, TITLE, ("what", "median (least–most)"))
    report.rows = [
        ("start to first answer, s", spread(walls, 2)),
        ("processor time until then, s", spread(cpus, 2)),
        ("memory after the start, MiB", spread(started, 1)),
        ("after a delivery and a request of each kind, MiB", spread(asked, 1)),
        ("after the API's documentation was made, MiB", spread(documented, 1)),
    ]
    report.targets += [
        Target("processor time of a start", round(median(cpus), 2), 1.5, " s"),
        Target("start", round(median(walls), 2), 1.5, " s"),
        Target("memory after the start", round(median(started)), 90, " MiB"),
        Target("memory after a request of each kind", round(median(asked)), 90, " MiB"),
    ]
    return report


def _one(redis: str) -> tuple[float, float, float, float, float]:
    with tempfile.TemporaryDirectory(prefix="bench-idle-") as folder:
        web = Web(Path(folder), redis)
        began = time.monotonic()
        with web:
            took = time.monotonic() - began
            assert web.process is not None
            process = psutil.Process(web.process.pid)
            cpu, started = cpu_seconds([process]), process.memory_info().rss / MIB
            assert web.deliver("72d3162e-cc78-11e3-81ab-4c9367dc0958").status_code == 202
            asked, documented = (_after(web, paths, process) for paths in (KINDS, DOCUMENTATION))
            return took, cpu, started, asked, documented


def _after(web: Web, paths: Sequence[str], process: psutil.Process) -> float:
    for path in paths:
        httpx.get(f"{web.url}{path}", trust_env=False, timeout=30)
    return process.memory_info().rss / MIB
