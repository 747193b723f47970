"""The API's lists, reads and searches, at 20 callers, with 1,000, 10,000 and 100,000 deployments of 500 apps.

`python -m tests.bench.api HOME PORT REDIS` serves a filled home, in a process of its own.
"""

import asyncio
import random
import subprocess
import sys
import tempfile
import time
from collections.abc import Generator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import httpx
import psutil

from bot import web
from bot.api.rates import Rates
from bot.app import create_app
from bot.domain.deployment import State
from bot.domain.ids import DeploymentId
from bot.domain.roles import Role
from bot.logs import pieces
from bot.logs.line import Line
from bot.logs.spool import archive_path
from bot.minted import PERSONAL, mint
from bot.settings import Settings
from bot.store import people, tokens
from bot.store.engine import open_engine, writing
from bot.store.migrate import migrate
from bot.store.schema import apps, deployment_events, deployments, environments
from bot.store.tokens import NewToken
from tests.bench.figures import Report, Target
from tests.bench.machine import CLIENT_CORE, SERVER_CORE, cpu_seconds, on_core
from tests.running import free_port
from tests.valkey import Valkey
from tests.waiting import wait_until

NAME = "api"
TITLE = "The API at 20 callers who ask five times a second each, by deployments in the store"
CALLERS = 20
PAUSE = 0.2
APPS = 500
LINES = 1_000_000
SIZES = (1_000, 10_000, 100_000)
WAYS = {
    "list": "/deployments?pageSize=20",
    "list, page 40": "/deployments?pageSize=20&page=40",
    "list of an app": "/apps/app-7/deployments",
    "by status": "/deployments?status=failed",
    "by two statuses": "/deployments?status=failed,cancelled",
    "by branch": "/deployments?branch=feature-7",
    "by a branch that is not": "/deployments?branch=nobody",
    "by commit": "/deployments?commit=00000",
    "by environment": "/deployments?environment=staging",
    "search": "/deployments?search=price",
    "search, nothing found": "/deployments?search=nothingsaysthis",
    "environments": "/apps/app-7/environments",
    "apps": "/apps?pageSize=50",
    "search of apps": "/apps?search=app-49",
    "read": "/deployments/DEP-{last}",
    "log, its last page": "/deployments/DEP-{last}/logs?after=999500",
}


def measure(count: int, seconds: float) -> Report:
    """Every way at every size, once: 48 loads of some seconds say enough. The rounds are not counted."""
    del count
    sizes = (f"{size:,}, p50 / p99 ms" for size in SIZES)
    columns = ("asked for", *sizes, "CPU ms", "no pause: req/s, p99 ms")
    report = Report(NAME, TITLE, columns)
    found: dict[str, list[Sample]] = {way: [] for way in WAYS}
    with tempfile.TemporaryDirectory(prefix="bench-api-") as folder, Valkey(fsync="no") as redis:
        log = _long_log(Path(folder))
        for size in SIZES:
            home = Path(folder) / str(size)
            for way, sample in _samples(home, size, log, redis=redis.url, seconds=seconds):
                found[way].append(sample)
    for way, (*_, last) in found.items():
        paced = (f"{one.p50:.1f} / {one.p99:.1f}" for one in found[way])
        report.rows.append((way, *paced, f"{last.cpu:.1f}", f"{last.rate:,.0f}, {last.busy_p99:.0f}"))
    slowest = max(found, key=lambda way: found[way][1].p99)
    worst = round(found[slowest][1].p99, 1)
    report.targets.append(Target(f"p99 at 10,000, of {slowest}", worst, 30.0, " ms"))
    # By processor time, which a busy machine does not stretch as it does answers.
    grown = max(row[-1].cpu / row[0].cpu for row in found.values())
    what = "most that the processor time of one grew from 1,000 to 100,000, times"
    report.targets.append(Target(what, round(grown, 2), 3.0))
    report.notes.append(
        f"{APPS} apps, a log of {LINES:,} lines; the server on one core, callers and Valkey on the other. A "
        "list that filters by what no index answers looks at the newest 2,000, and counting ends at 10,000."
    )
    return report


@dataclass(frozen=True)
class Sample:
    """One way at one size: at a stated pace, and without a pause. Milliseconds; `cpu` of the server each."""

    p50: float
    p99: float
    cpu: float
    rate: float
    busy_p99: float


def _samples(
    home: Path, size: int, log: Path, *, redis: str, seconds: float
) -> Generator[tuple[str, Sample]]:
    token = fill(home, size)
    archived = archive_path(home, DeploymentId(size))
    archived.parent.mkdir()
    archived.hardlink_to(log)
    with served(home, redis) as (port, process):
        for way, path in WAYS.items():
            asked = path.format(last=size)
            _load(port, asked, token, seconds=0.3, pause=0.0)
            before = cpu_seconds([process])
            paced = _load(port, asked, token, seconds=seconds, pause=PAUSE)
            used = cpu_seconds([process]) - before
            busy = _load(port, asked, token, seconds=seconds / 2, pause=0.0)
            rate = len(busy) / (seconds / 2)
            cpu = used / len(paced) * 1000
            sample = Sample(_part(paced, 50), _part(paced, 99), cpu, rate, _part(busy, 99))
            yield way, sample


def _long_log(folder: Path) -> Path:
    path = folder / "log.gz"
    lines = (
        Line(n, "2026-01-31T12:00:00.000Z", "build", "stdout", f"line {n} of the build")
        for n in range(1, LINES + 1)
    )
    with path.open("wb") as file:
        pieces.write(file, ((line.n, line.to_json() + b"\n") for line in lines))
    return path


def _part(took: Sequence[float], percent: int) -> float:
    return sorted(took)[min(len(took) - 1, len(took) * percent // 100)]


def fill(home: Path, size: int) -> str:
    """Put deployments, apps and a long log into a home; a token of the owner."""
    settings = Settings.model_validate({"home": home, "redis_url": f"unix://{home}/nobody.sock"})
    engine = open_engine(settings.database)
    migrate(engine)
    now, chance = datetime.now(UTC), random.Random(7)
    made = mint(PERSONAL)
    with writing(engine) as tx:
        tenant = people.insert_tenant(tx, "acme", "Acme", now)
        owner = people.ensure_member(tx, tenant.id, "o@acme.example", name="", role=Role.OWNER, now=now)
        tokens.insert(
            tx,
            NewToken(
                tenant_id=tenant.id,
                name="bench",
                created_by="bench",
                handle=made.handle,
                digest=made.digest,
                user_id=owner.id,
                app_id=None,
                scopes=None,
                expires_at=None,
            ),
            now,
        )
        project = people.projects_of(tx, tenant.id)[0].id
        tx.execute(apps.insert(), [_app(number, tenant.id, project, now) for number in range(1, APPS + 1)])
        tx.execute(environments.insert(), [_place(number) for number in range(1, APPS + 1)])
        for start in range(0, size, 5000):
            numbers = range(start + 1, min(size, start + 5000) + 1)
            tx.execute(deployments.insert(), [_deployment(one, tenant.id, now, chance) for one in numbers])
            tx.execute(deployment_events.insert(), [_event(one, now) for one in numbers])
    engine.dispose()
    return made.text


def _app(number: int, tenant: int, project: int, now: datetime) -> dict[str, object]:
    names = {
        "slug": f"app-{number}",
        "repository": f"acme/app-{number}",
        "clone_url": "https://x.example/a.git",
    }
    return {
        **names,
        "tenant_id": tenant,
        "project_id": project,
        "production_branch": "main",
        "created_at": now,
    }


def _place(number: int) -> dict[str, object]:
    name = "staging" if number % 10 == 0 else "production"
    kind = "branch" if name == "staging" else name
    return {"app_id": number, "name": name, "kind": kind, "hostname": f"{number}.localhost"}


def _deployment(number: int, tenant: int, now: datetime, chance: random.Random) -> dict[str, object]:
    app = chance.randint(1, APPS)
    at = now - timedelta(minutes=200_000 - number)
    state = chance.choice([State.SUCCEEDED] * 8 + [State.FAILED, State.CANCELLED])
    return {
        "tenant_id": tenant,
        "app_id": app,
        "environment_id": app,
        "kind": "build",
        "trigger": "push",
        "state": state,
        "sha": f"{chance.getrandbits(160):040x}",
        "branch": f"feature-{chance.randint(1, 50)}",
        "message": f"Show the {chance.choice(['price', 'name', 'picture'])} {number}",
        "author": "mona",
        "created_at": at,
        "started_at": at,
        "finished_at": at + timedelta(seconds=30),
        "announced": 1,
    }


def _event(number: int, now: datetime) -> dict[str, object]:
    return {"deployment_id": number, "state": "succeeded", "reason": "it is live", "at": now}


@contextmanager
def served(home: Path, redis: str) -> Generator[tuple[int, psutil.Process]]:
    """The web process on one core."""
    port = free_port()
    with on_core(SERVER_CORE):
        server = subprocess.Popen([sys.executable, "-m", "tests.bench.api", str(home), str(port), redis])
    try:
        wait_until(lambda: _answers(port), 90, "the web process")
        yield port, psutil.Process(server.pid)
    finally:
        server.terminate()
        server.wait()


def _answers(port: int) -> bool:
    try:
        return httpx.get(f"http://127.0.0.1:{port}/health", trust_env=False, verify=False).status_code == 200
    except httpx.TransportError:
        return False


def _load(port: int, path: str, token: str, *, seconds: float, pause: float) -> list[float]:
    with on_core(CLIENT_CORE):
        return asyncio.run(_crowd(port, path, token, seconds=seconds, pause=pause))


async def _crowd(port: int, path: str, token: str, *, seconds: float, pause: float) -> list[float]:
    request = f"GET /api/v1{path} HTTP/1.1\r\nHost: bench\r\nAuthorization: Bearer {token}\r\n\r\n".encode()
    until = time.monotonic() + seconds
    late = (pause * one / CALLERS for one in range(CALLERS))
    callers = (_caller(port, request, until, pause=pause, late=one) for one in late)
    return [one for some in await asyncio.gather(*callers) for one in some]


async def _caller(port: int, request: bytes, until: float, *, pause: float, late: float) -> Sequence[float]:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    took: list[float] = []
    await asyncio.sleep(late)
    while time.monotonic() < until:
        began = time.perf_counter()
        writer.write(request)
        head = await reader.readuntil(b"\r\n\r\n")
        assert b" 200 " in head.partition(b"\r\n")[0], head
        length = next(line for line in head.lower().split(b"\r\n") if line.startswith(b"content-length:"))
        await reader.readexactly(int(length.partition(b":")[2]))
        took.append((time.perf_counter() - began) * 1000)
        await asyncio.sleep(max(0.0, pause - (time.perf_counter() - began)))
    writer.close()
    return took


def main(home: str, port: str, redis: str) -> None:
    """Serve a home until killed."""
    address = f"127.0.0.1:{port}"
    settings = Settings.model_validate({"home": home, "redis_url": redis, "web_address": address})
    web.run(create_app(settings, rates=Rates(10**9, 10**9)), settings)


if __name__ == "__main__":
    main(*sys.argv[1:])
