"""A build's log as it is streamed: 2,000 readers of one build, and ten readers of each of 200."""

import json
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import psutil
from redis import Redis

from bot.domain.ids import DeploymentId
from bot.logs.line import Line, stream_key
from bot.store.engine import open_engine, writing
from bot.store.schema import deployments
from tests.bench.api import fill, served
from tests.bench.figures import Report, Target
from tests.bench.machine import CLIENT_CORE, cpu_seconds, on_core
from tests.valkey import Valkey

NAME = "stream"
TITLE = "Server-Sent Events of builds' logs, one web process on one core"
READERS, BUILDS = 2_000, 200
PACE, BURST = 100, 3_000
_FILES = 8_192
_PATIENCE = 60.0


@dataclass(frozen=True)
class Sample:
    """What came of one crowd. Milliseconds; `cpu` is the share of a core; `wrong` readers missed a line."""

    p50: float
    p99: float
    seconds: float
    cpu: float
    wrong: int


def measure(count: int, seconds: float) -> Report:
    """One crowd each: what is measured is thousands of readers, not thousands of times."""
    del count
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, min(hard, _FILES)), hard))
    report = Report(NAME, TITLE, ("readers", "p50 ms", "p99 ms", "done after s", "of a core", "KB a reader"))
    with tempfile.TemporaryDirectory(prefix="bench-stream-") as folder, Valkey(fsync="no") as valkey:
        home = Path(folder) / "home"
        token = fill(home, BUILDS)
        _make_running(home)
        with served(home, valkey.url) as (port, process):
            stage = _Stage(port, token, Redis.from_url(valkey.url), process)
            _fill_report(report, stage, max(seconds, 5.0))
    return report


def _fill_report(report: Report, stage: "_Stage", seconds: float) -> None:
    # Threads and what is compiled at first is no reader's.
    stage.crowd([1] * 100).end()
    before = stage.memory()
    crowd = stage.crowd([1] * READERS)
    each = (stage.memory() - before) / READERS / 1000
    paced = crowd.take(lambda: stage.write_paced([1], PACE, seconds))
    burst = crowd.take(lambda: stage.write([1], BURST))
    crowd.end()
    many = stage.crowd([1 + number % BUILDS for number in range(READERS)])
    spread = many.take(lambda: stage.write_paced(range(1, BUILDS + 1), 2, seconds))
    many.end()
    report.rows = [
        _row(f"{READERS:,} of one build, {PACE} lines/s", paced, f"{each:.1f}"),
        _row(f"the same, {BURST:,} lines at once", burst, ""),
        _row(f"{READERS // BUILDS} of each of {BUILDS} builds, 2 lines/s each", spread, ""),
    ]
    report.targets += [
        Target("readers that lack a line, or have one twice", paced.wrong + burst.wrong + spread.wrong, 0),
        Target(f"p99 at {PACE} lines/s", round(paced.p99), 300, " ms"),
        Target(f"of a core at {PACE} lines/s", round(paced.cpu, 2), 0.5),
        Target(f"burst of {BURST:,} lines", round(burst.seconds, 1), 3, " s"),
        Target("memory a reader", round(each, 1), 15, " KB"),
    ]
    report.notes.append(
        "A line's latency is from its entry in Valkey to the reader's socket, of one reader in fifty, who "
        "reads each number; the others count, and compare the numbers at the ends of what comes at once. "
        "Readers, Valkey and the writer share the other core."
    )


def _row(name: str, one: Sample, memory: str) -> tuple[str, ...]:
    return (name, f"{one.p50:.0f}", f"{one.p99:.0f}", f"{one.seconds:.1f}", f"{one.cpu:.2f}", memory)


def _make_running(home: Path) -> None:
    engine = open_engine(f"sqlite:///{home / 'slipway.db'}")
    with writing(engine) as tx:
        tx.execute(deployments.update().values(state="running", finished_at=None))
    engine.dispose()


class _Stage:
    def __init__(self, port: int, token: str, redis: Redis, process: psutil.Process) -> None:
        self.process = process
        self._port = port
        self._token = token
        self._redis = redis
        self._last = dict.fromkeys(range(1, BUILDS + 1), 0)

    def memory(self) -> int:
        return self.process.memory_info().rss

    def crowd(self, builds: list[int]) -> "_Crowd":
        spec = {"port": self._port, "token": self._token, "builds": builds, "last": self._last}
        return _Crowd(self, json.dumps(spec))

    def write(self, builds: list[int] | range, count: int) -> int:
        """Write lines of each build at once; how many that were of one."""
        pipe = self._redis.pipeline(transaction=False)
        for build in builds:
            for n in range(self._last[build] + 1, self._last[build] + count + 1):
                line = Line(n, "2026-01-31T12:00:00.000Z", "build", "stdout", f"{time.time():.6f} {'.' * 60}")
                pipe.xadd(stream_key(DeploymentId(build)), {"line": line.to_json()}, id=f"{n}-0")
            self._last[build] += count
        pipe.execute()
        return count

    def write_paced(self, builds: list[int] | range, pace: float, seconds: float) -> int:
        began, written = time.monotonic(), 0
        while (passed := time.monotonic() - began) < seconds:
            if due := int(passed * pace) - written:
                written += self.write(builds, due)
            time.sleep(min(0.02, 1 / pace))
        return written


class _Crowd:
    """Readers in a process of their own; see `tests.bench.readers`."""

    def __init__(self, stage: _Stage, spec: str) -> None:
        self._stage = stage
        with on_core(CLIENT_CORE):
            self._process = subprocess.Popen(
                [sys.executable, "-m", "tests.bench.readers"],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                text=True,
            )
        self._say(spec)
        self._hear()

    def take(self, write: Callable[[], int]) -> Sample:
        """Write, and wait until every reader has every line."""
        before, began = cpu_seconds([self._stage.process]), time.monotonic()
        lines = write()
        self._say(json.dumps({"lines": lines, "patience": _PATIENCE}))
        told = self._hear()
        took = time.monotonic() - began
        cpu = (cpu_seconds([self._stage.process]) - before) / took
        return Sample(told["p50"], told["p99"], took, cpu, int(told["wrong"]))

    def end(self) -> None:
        """Let every reader go."""
        assert self._process.stdin is not None
        self._process.stdin.close()
        self._process.wait(30)

    def _say(self, text: str) -> None:
        assert self._process.stdin is not None
        self._process.stdin.write(text + "\n")
        self._process.stdin.flush()

    def _hear(self) -> dict[str, float]:
        assert self._process.stdout is not None
        return json.loads(self._process.stdout.readline())
