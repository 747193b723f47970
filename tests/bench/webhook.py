"""The webhook: accepted, durable and its job issued, beside an endpoint that stores nothing and beside RQ."""

import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Generator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from statistics import median

import httpx
import psutil

from bot.signature import sign
from jobs.sandbox.launch import give_way
from jobs.sandbox.runner import NICE
from tests.bench import load
from tests.bench.figures import Report, Target, ratio, rounds, spread
from tests.bench.load import Load
from tests.bench.machine import CLIENT_CORE, SERVER_CORE, cpu_seconds, on_core
from tests.fakes import payloads
from tests.valkey import Valkey
from tests.waiting import wait_until
from tests.web import SECRET, Web, free_port

NAME = "webhook"
TITLE = "Webhook, 8 KB push, 32 connections, one server process on one core"
SIZE = 8 * 1024
_SPIN = "while True: pass"


@dataclass(frozen=True)
class Sample:
    """One round's load, and the server's processor time per request in µs."""

    load: Load
    cpu: float


def measure(count: int, seconds: float) -> Report:
    """All servers in turns; ours, too, while every core is busy with builds."""
    home = Path(tempfile.mkdtemp(prefix="bench-webhook-"))
    try:
        with ExitStack() as stack:
            with on_core(CLIENT_CORE):
                redis = stack.enter_context(Valkey(fsync="everysec"))
            return _report(_servers(stack, home, redis.url), count, seconds)
    finally:
        shutil.rmtree(home)


def _servers(stack: ExitStack, home: Path, redis: str) -> dict[str, tuple[int, psutil.Process]]:
    web = Web(home, redis)
    with on_core(SERVER_CORE):
        stack.enter_context(web)
        assert web.process is not None
        servers = {"slipway": (web.port, psutil.Process(web.process.pid))}
        for kind in ("bare", "rq"):
            servers[kind] = stack.enter_context(_server(kind, redis))
    return servers


@contextmanager
def _server(kind: str, redis: str) -> Generator[tuple[int, psutil.Process]]:
    port = free_port()
    child = subprocess.Popen([sys.executable, "-m", "tests.bench.servers", kind, str(port), redis])
    try:
        wait_until(lambda: _answers(port), 30, f"the server {kind}")
        yield port, psutil.Process(child.pid)
    finally:
        child.kill()
        child.wait()


def _report(servers: dict[str, tuple[int, psutil.Process]], count: int, seconds: float) -> Report:
    ways = {name: _way(*server, seconds) for name, server in servers.items()}
    ways["slipway, builds on every core"] = _beside_builds(ways["slipway"])
    for name in servers:
        ways[name]()
    found = rounds(count, ways)
    report = Report(NAME, TITLE, ["server", "req/s", "of bare", "p50 ms", "p99 ms", "worst ms", "CPU µs"])
    rates = {name: [one.load.rate for one in samples] for name, samples in found.items()}
    for name, samples in found.items():
        report.rows.append(_row(name, samples, ratio(rates[name], rates["bare"])))
    ours = rates["slipway"]
    p99 = median(one.load.p99 for one in found["slipway"])
    beside = rates["slipway, builds on every core"]
    report.targets += [
        Target("rate, of the bare endpoint's", ratio(ours, rates["bare"]), 0.35, at_most=False),
        Target("rate, times that of rq.Queue.enqueue", ratio(ours, rates["rq"]), 2.5, at_most=False),
        Target("p99", p99, 50, " ms"),
        Target("rate with builds on every core, of the idle rate", ratio(beside, ours), 0.75, at_most=False),
    ]
    return report


def _row(name: str, samples: list[Sample], of_bare: float) -> list[str]:
    return [
        name,
        spread([one.load.rate for one in samples]),
        f"{of_bare:.2f}",
        f"{median(one.load.p50 for one in samples):.1f}",
        f"{median(one.load.p99 for one in samples):.1f}",
        f"{max(one.load.worst for one in samples):.0f}",
        f"{median(one.cpu for one in samples):.0f}",
    ]


def _beside_builds(way: Callable[[], Sample]) -> Callable[[], Sample]:
    def beside() -> Sample:
        spin = [sys.executable, "-c", _SPIN]
        builds = [
            # As builds are started.
            subprocess.Popen(spin, start_new_session=True, preexec_fn=lambda: give_way(NICE))  # noqa: PLW1509
            for _ in range(os.cpu_count() or 1)
        ]
        try:
            return way()
        finally:
            for build in builds:
                build.kill()
                build.wait()

    return beside


def _way(port: int, process: psutil.Process, seconds: float) -> Callable[[], Sample]:
    def way() -> Sample:
        before = cpu_seconds([process])
        done = load.run(port, _request(), status=202, seconds=seconds)
        used = cpu_seconds([process]) - before
        assert done.wrong == 0, f"{done.wrong} of {done.requests} answers are wrong"
        return Sample(done, used / done.requests * 1e6)

    return way


def _request() -> bytes:
    """A push of GitHub's, as large as one with some commits; each has a GUID of its own."""
    payload = payloads.push(after="a" * 40, before="b" * 40)
    commit = payload["commits"][0]
    while len(json.dumps(payload)) < SIZE:
        payload["commits"].append(commit)
    body = json.dumps(payload)[:-1].encode().ljust(SIZE - 1) + b"}"
    lines = [
        b"POST /webhooks/github HTTP/1.1",
        b"Host: 127.0.0.1",
        b"Accept: */*",
        b"Content-Type: application/json",
        b"User-Agent: GitHub-Hookshot/1",
        b"X-GitHub-Event: push",
        b"X-GitHub-Hook-ID: 1",
        b"X-GitHub-Hook-Installation-Target-ID: 1",
        b"X-GitHub-Hook-Installation-Target-Type: repository",
        b"X-GitHub-Delivery: " + load.UNIQUE,
        b"X-Hub-Signature-256: " + sign(body, SECRET),
        b"Content-Length: %d" % len(body),
    ]
    return b"\r\n".join(lines) + b"\r\n\r\n" + body


def _answers(port: int) -> bool:
    try:
        return httpx.get(f"http://127.0.0.1:{port}/", trust_env=False).status_code == 404
    except httpx.TransportError:
        return False
