"""The API's lists, reads and searches, at 20 callers, with 1,000, 10,000 and 100,000 deployments of 500 apps.

`python -m tests.bench.api HOME PORT` serves a filled home, in a process of its own.
"""

import asyncio
import random
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Generator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

import httpx
import uvicorn

from bot.api.auth import PERSONAL, mint
from bot.api.rates import Rates
from bot.app import create_app
from bot.domain.deployment import State
from bot.domain.ids import DeploymentId
from bot.domain.roles import Role
from bot.logs import DeploymentLog
from bot.queue import connect
from bot.settings import Settings
from bot.store import people, tokens
from bot.store.engine import open_engine, writing
from bot.store.migrate import migrate
from bot.store.schema import apps, deployment_events, deployments, environments
from bot.store.tokens import NewToken
from tests.bench.figures import Report, Target
from tests.bench.machine import CLIENT_CORE, SERVER_CORE, on_core
from tests.running import free_port
from tests.waiting import wait_until

NAME = "api"
TITLE = "The API at 20 callers, each asking five times a second, by deployments in the store"
CALLERS = 20
PAUSE = 0.2
APPS = 500
LINES = 1_000_000
SIZES = (1_000, 10_000, 100_000)
LIMIT_MS = 30.0
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
    "apps": "/apps?pageSize=50",
    "search of apps": "/apps?search=app-49",
    "read": "/deployments/DEP-{last}",
    "log, its last page": "/deployments/DEP-{last}/logs?after=999500",
}


def measure(count: int, seconds: float) -> Report:
    """Every way at every size; each for some seconds."""
    report = Report(NAME, TITLE, ("asked for", *(f"{size:,}, p50 / p99 ms" for size in SIZES)))
    found: dict[str, list[tuple[float, float]]] = {way: [] for way in WAYS}
    for size in SIZES:
        home = Path(tempfile.mkdtemp(prefix="bench-api-"))
        try:
            token = fill(home, size)
            with served(home) as port:
                for way, path in WAYS.items():
                    best = [
                        _load(port, path.format(last=size), token, seconds) for _ in range(max(1, count // 2))
                    ]
                    found[way].append(min(best, key=lambda figures: figures[1]))
        finally:
            shutil.rmtree(home)
    report.rows = [(way, *(f"{p50:.1f} / {p99:.1f}" for p50, p99 in row)) for way, row in found.items()]
    for way, row in found.items():
        report.targets.append(Target(f"{way}: p99 at 100,000", round(row[-1][1], 1), LIMIT_MS, "ms"))
    grown = max(row[-1][0] / row[0][0] for way, row in found.items() if way != "read")
    report.targets.append(Target("most that a median grew from 1,000 to 100,000", round(grown, 2), 3.0))
    report.notes.append(
        f"{APPS} apps, a log of {LINES:,} lines; the server on one core, callers on the other. A list that "
        "filters by what no index answers looks at the newest 2,000."
    )
    return report


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
    log = DeploymentLog(home, DeploymentId(size), connect(settings.redis, retries=0))
    for start in range(0, LINES, 10_000):
        log.output(
            "build", "stdout", b"".join(b"line %d of the build\n" % (start + n) for n in range(10_000))
        )
    log.close()
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
def served(home: Path) -> Generator[int]:
    """The web process on one core."""
    port = free_port()
    with on_core(SERVER_CORE):
        server = subprocess.Popen([sys.executable, "-m", "tests.bench.api", str(home), str(port)])
    try:
        wait_until(lambda: _answers(port), 90, "the web process")
        yield port
    finally:
        server.terminate()
        server.wait()


def _answers(port: int) -> bool:
    try:
        return httpx.get(f"http://127.0.0.1:{port}/health", trust_env=False, verify=False).status_code == 200
    except httpx.TransportError:
        return False


def _load(port: int, path: str, token: str, seconds: float) -> tuple[float, float]:
    with on_core(CLIENT_CORE):
        took = asyncio.run(_crowd(port, path, token, seconds))
    took.sort()
    return took[len(took) // 2], took[min(len(took) - 1, len(took) * 99 // 100)]


async def _crowd(port: int, path: str, token: str, seconds: float) -> list[float]:
    request = f"GET /api/v1{path} HTTP/1.1\r\nHost: bench\r\nAuthorization: Bearer {token}\r\n\r\n".encode()
    until = time.monotonic() + max(seconds, 2.0)
    found = await asyncio.gather(*(_caller(port, request, until, place) for place in range(CALLERS)))
    return [one for some in found for one in some]


async def _caller(port: int, request: bytes, until: float, place: int) -> Sequence[float]:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    took: list[float] = []
    await asyncio.sleep(PAUSE * place / CALLERS)
    while time.monotonic() < until:
        began = time.perf_counter()
        writer.write(request)
        head = await reader.readuntil(b"\r\n\r\n")
        assert b" 200 " in head.partition(b"\r\n")[0], head
        length = next(line for line in head.lower().split(b"\r\n") if line.startswith(b"content-length:"))
        await reader.readexactly(int(length.partition(b":")[2]))
        took.append((time.perf_counter() - began) * 1000)
        await asyncio.sleep(max(0.0, PAUSE - (time.perf_counter() - began)))
    writer.close()
    # The first answers are made while SQL is compiled and files are read for the first time.
    return took[2:]


def main(home: str, port: str) -> None:
    """Serve a home until killed."""
    settings = Settings.model_validate({"home": home, "redis_url": f"unix://{home}/nobody.sock"})
    app = create_app(settings, rates=Rates(10**9, 10**9))
    uvicorn.run(app, host="127.0.0.1", port=int(port), http="httptools", loop="uvloop", log_level="error")


if __name__ == "__main__":
    main(*sys.argv[1:])
