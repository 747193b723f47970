"""Whether the process is up, and whether all that it needs can be reached."""

import asyncio
import resource
from collections.abc import Awaitable, Callable
from pathlib import Path

from redis import Redis
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from bot.answers import Answer
from bot.clock import utc_now
from bot.setting_values import dialled
from bot.settings import Settings
from bot.store import deliveries
from bot.store.engine import Engine, reading

PROBE_SECONDS = 2.0
FEW_FILES = 32
"""With fewer file descriptors left the process is not well."""

Probe = Callable[[], Awaitable[object]]


class FewFilesError(Exception):
    """Few file descriptors are left."""


def routes(settings: Settings, engine: Engine, redis: Redis) -> list[BaseRoute]:
    """`GET /health` and `GET /ready`."""

    def ask_store() -> None:
        with reading(engine) as tx:
            deliveries.undecided(tx, utc_now(), 1)

    def ask_redis() -> None:
        redis.ping()

    async def look_at_files() -> None:
        _look_at_files()

    probes: dict[str, Probe] = {
        "files": look_at_files,
        "store": lambda: asyncio.to_thread(ask_store),
        "redis": lambda: asyncio.to_thread(ask_redis),
        "edge": lambda: _dial(settings.edge_address),
    }

    async def health(_request: Request) -> Response:
        return Answer(200, {"healthy": True}).response()

    async def ready(_request: Request) -> Response:
        results = await asyncio.gather(*(_probe(probe) for probe in probes.values()))
        parts = dict(zip(probes, results, strict=True))
        whole = all(result == "ok" for result in results)
        return Answer(200 if whole else 503, {"ready": whole, "parts": parts}).response()

    return [Route("/health", health), Route("/ready", ready)]


async def _probe(probe: Probe) -> str:
    try:
        async with asyncio.timeout(PROBE_SECONDS):
            await probe()
    except TimeoutError:
        return "no answer in time"
    except FewFilesError as error:
        return str(error)
    except Exception as error:  # noqa: BLE001 - whatever is wrong, it is not reached
        return f"not reached ({type(error).__name__})"
    return "ok"


def _look_at_files() -> None:
    limit, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    used = sum(1 for _ in Path("/dev/fd").iterdir())
    if limit - used < FEW_FILES:
        raise FewFilesError(f"{used} of {limit} file descriptors are open")


async def _dial(address: str) -> None:
    _, writer = await asyncio.open_connection(*dialled(address))
    writer.close()
