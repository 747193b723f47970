"""Static serving through the edge, beside a bare Caddy of the same make on the same files."""

import shutil
import socket
import subprocess
import tempfile
from collections.abc import Callable, Generator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from statistics import median

import brotli  # pyright: ignore[reportMissingTypeStubs]
import httpx
import psutil

from jobs.edge import find_caddy
from tests.bench import load
from tests.bench.figures import Report, Target, ratio, rounds, spread
from tests.bench.load import Load
from tests.bench.machine import SERVER_CORE, cpu_seconds, on_core
from tests.jobs.edge_harness import RunningEdge, free_port, running_edge
from tests.waiting import wait_until

NAME = "static"
TITLE = "Static files through the edge, against bare Caddy on the same files (32 connections, one core)"
HOST = "shop.localhost"

_BARE = """{{
	admin off
	persist_config off
	auto_https off
	log {{
		output stderr
		level WARN
	}}
	servers {{
		protocols h1
	}}
}}
http://:{port} {{
	bind 127.0.0.1
	root * "{root}"
	file_server {{
		precompressed br zstd gzip
	}}
	handle_errors {{
		rewrite * /404.html
		file_server
	}}
}}
"""


@dataclass(frozen=True)
class Case:
    """A request, and the status of its answer."""

    name: str
    path: str
    status: int
    headers: Mapping[str, str]


@dataclass(frozen=True)
class Sample:
    """One round's load, and what it cost the server, in µs of processor time per request."""

    load: Load
    cpu: float


def site() -> dict[str, bytes]:
    """A small site: pages of 1 KB, a script of 100 KB with its variants."""
    script = b"".join(b"export const name%d = () => %d * 17;\n" % (n, n * n % 9973) for n in range(2600))
    page = b"<!doctype html><title>page</title>" + b"<p>some words of a small page</p>\n" * 30
    return {
        "index.html": page,
        "about.html": page,
        "404.html": b"<!doctype html><title>nothing here</title>" + b"<p>no such page</p>" * 20,
        "assets/app-3f9a1c2e.js": script,
        "assets/app-3f9a1c2e.js.br": brotli.compress(script, quality=5),
        **{f"section/page{number}.html": page for number in range(50)},
    }


def measure(count: int, seconds: float) -> Report:
    """Four kinds of requests, each against both in turns."""
    home = Path(tempfile.mkdtemp(prefix="bench-static-"))
    try:
        with on_core(SERVER_CORE), running_edge(home) as edge:
            release = edge.site(HOST, site())
            for _ in range(3):
                edge.show(HOST, release)
            with _bare(edge, release) as (port, bare):
                return _report(edge, (port, bare), count, seconds)
    finally:
        shutil.rmtree(home)


@contextmanager
def _bare(edge: RunningEdge, release: int) -> Generator[tuple[int, psutil.Process]]:
    port, root = free_port(), edge.home / "releases" / str(release) / "files"
    config = edge.home / "bare.Caddyfile"
    config.write_text(_BARE.format(port=port, root=root))
    folder = {"HOME": str(edge.home), "XDG_DATA_HOME": str(edge.home), "XDG_CONFIG_HOME": str(edge.home)}
    command = [str(find_caddy(edge.settings)), "run", "--adapter", "caddyfile", "--config", str(config)]
    child = subprocess.Popen(command, env=folder, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        wait_until(lambda: _listens(port), what="bare Caddy")
        yield port, psutil.Process(child.pid)
    finally:
        child.kill()
        child.wait()


def _report(edge: RunningEdge, other: tuple[int, psutil.Process], count: int, seconds: float) -> Report:
    servers = {"edge": (edge.port, _caddy_of(edge)), "bare": other}
    report = Report(
        NAME,
        TITLE,
        [
            "request",
            "edge req/s",
            "bare req/s",
            "ratio",
            "edge CPU µs",
            "bare CPU µs",
            "CPU ratio",
            "edge p99 ms",
        ],
    )
    for case in _cases(edge.port):
        ways = {name: _way(port, process, case, seconds) for name, (port, process) in servers.items()}
        for way in ways.values():
            way()
        found = rounds(count, ways)
        _add(report, case, found["edge"], found["bare"])
    return report


def _caddy_of(edge: RunningEdge) -> psutil.Process:
    config = str(edge.settings.home / "run" / "Caddyfile")
    return next(one for one in psutil.Process().children() if config in one.cmdline())


def _add(report: Report, case: Case, ours: list[Sample], theirs: list[Sample]) -> None:
    rate = ratio([one.load.rate for one in ours], [one.load.rate for one in theirs])
    cpu = ratio([one.cpu for one in ours], [one.cpu for one in theirs])
    report.rows.append(
        [
            case.name,
            spread([one.load.rate for one in ours]),
            spread([one.load.rate for one in theirs]),
            f"{rate:.2f}",
            f"{median(one.cpu for one in ours):.1f}",
            f"{median(one.cpu for one in theirs):.1f}",
            f"{cpu:.2f}",
            f"{median(one.load.p99 for one in ours):.1f}",
        ]
    )
    if case.status != 404:
        report.targets.append(Target(f"{case.name}: processor time per request, of bare Caddy's", cpu, 1.10))


def _cases(port: int) -> list[Case]:
    found = httpx.get(f"http://127.0.0.1:{port}/about.html", headers={"Host": HOST})
    assert found.status_code == 200
    etag = found.headers["etag"]
    return [
        Case("small page", "/about.html", 200, {}),
        Case("front page", "/", 200, {}),
        Case("asset, brotli", "/assets/app-3f9a1c2e.js", 200, {"Accept-Encoding": "br, gzip"}),
        Case("304", "/about.html", 304, {"If-None-Match": etag}),
        Case("404, the site's own page", "/no/such/page", 404, {}),
    ]


def _way(port: int, process: psutil.Process, case: Case, seconds: float) -> Callable[[], Sample]:
    headers = {"Host": HOST, "User-Agent": "bench", "Accept": "*/*", **case.headers}
    lines = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
    request = f"GET {case.path} HTTP/1.1\r\n{lines}\r\n".encode()

    def way() -> Sample:
        before = cpu_seconds([process])
        done = load.run(port, request, status=case.status, seconds=seconds)
        used = cpu_seconds([process]) - before
        assert done.wrong == 0, f"{case.name}: {done.wrong} of {done.requests} answers are wrong"
        return Sample(done, used / done.requests * 1e6)

    return way


def _listens(port: int) -> bool:
    try:
        socket.create_connection(("127.0.0.1", port), timeout=1).close()
    except OSError:
        return False
    return True
