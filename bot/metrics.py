"""`GET /metrics`: what an instance has and what waits in it, in the text form of Prometheus.

https://prometheus.io/docs/instrumenting/exposition_formats/#text-based-format
"""

import asyncio
import hmac
import resource
import shutil
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import datetime
from pathlib import Path

from redis import Redis
from redis.exceptions import RedisError
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from bot.answers import refusal
from bot.clock import Clock, utc_now
from bot.lifecycle import Lifecycle
from bot.log import logger
from bot.settings import Settings
from bot.store import gauges
from bot.store.engine import StoreError, reading
from bot.store.gauges import Gauges

MEDIA = "text/plain; version=0.0.4; charset=utf-8"
_QUANTILES = (0.5, 0.9, 0.99)
_REFUSED = "Send the setting METRICS_TOKEN, or the console's key, as a bearer token."

Labels = Mapping[str, str]
Samples = Sequence[tuple[Labels, float]]


class Metrics:
    """The endpoint. `is_operator` tells whether a request carries the console's key."""

    def __init__(
        self,
        settings: Settings,
        lifecycle: Lifecycle,
        redis: Redis,
        *,
        is_operator: Callable[[Request], bool],
        clock: Clock = utc_now,
    ) -> None:
        self._settings = settings
        self._lifecycle = lifecycle
        self._redis = redis
        self._is_operator = is_operator
        self._clock = clock

    def routes(self) -> list[BaseRoute]:
        """Where it is."""
        return [Route("/metrics", self.show)]

    async def show(self, request: Request) -> Response:
        """All metrics; 401 without a token, 503 while the store can't be read."""
        if not self._may(request):
            challenge = {"WWW-Authenticate": "Bearer"}
            return refusal(401, "unauthorized", _REFUSED, headers=challenge).response()
        try:
            text = await asyncio.to_thread(self._text)
        except StoreError as error:
            logger.error("metrics could not be read", error=repr(error))
            return refusal(503, "store-unavailable", "The store can't be read at this moment.").response()
        return Response(text, media_type=MEDIA, headers={"Cache-Control": "no-store"})

    def _may(self, request: Request) -> bool:
        token = self._settings.metrics_token
        scheme, _, given = request.headers.get("authorization", "").partition(" ")
        if token is not None and scheme.lower() == "bearer":
            wanted = token.get_secret_value().encode()
            if hmac.compare_digest(given.strip().encode(), wanted):
                return True
        return self._is_operator(request)

    def _text(self) -> str:
        now = self._clock()
        with reading(self._lifecycle.engine) as tx:
            found = gauges.look(tx, now)
        return "".join([*_of_store(found, now), *self._of_machine()])

    def _of_machine(self) -> Iterator[str]:
        has_redis = self._answers()
        yield _metric("slipway_redis_up", "Whether the queue's Redis answers.", has_redis)
        if has_redis:
            has_worker = self._lifecycle.has_worker()
            yield _metric("slipway_worker_up", "Whether a worker takes deployments.", has_worker)
        free = shutil.disk_usage(self._settings.home).free
        yield _metric("slipway_disk_free_bytes", "Free bytes where the home is.", free)
        pages = int(Path("/proc/self/statm").read_text().split()[1])
        resident = pages * resource.getpagesize()
        yield _metric("process_resident_memory_bytes", "Memory of the web process.", resident)
        files = sum(1 for _ in Path("/proc/self/fd").iterdir())
        yield _metric("process_open_fds", "Open files of the web process.", files)

    def _answers(self) -> bool:
        try:
            self._redis.ping()
        except RedisError:
            return False
        return True


def _of_store(found: Gauges, now: datetime) -> Iterator[str]:
    yield _metric("slipway_apps", "Apps that are not archived.", found.apps)
    yield _metric("slipway_environments_live", "Environments that show a release.", found.live)
    count, gauge = "counter", "gauge"
    yield _metric("slipway_deliveries_received_total", "Deliveries of webhooks.", found.received, kind=count)
    yield _metric("slipway_deployments_asked_total", "Deployments asked for.", found.asked, kind=count)
    states = [({"state": state}, number) for state, number in found.unfinished.items()]
    yield _family("slipway_deployments", "Deployments without a last word.", gauge, states)
    waited = (now - found.oldest_queued).total_seconds() if found.oldest_queued else 0
    yield _metric("slipway_queue_oldest_seconds", "How long the oldest queued one waits.", max(0, waited))
    yield _metric("slipway_deliveries_undecided", "Deliveries without a decision.", found.undecided)
    yield _metric("slipway_updates_owed", "Deployments that GitHub is not up to date on.", found.unannounced)
    yield _metric("slipway_messages_waiting", "Messages to webhooks and channels to send.", found.unsent)
    ended = [({"state": state}, number) for state, number in found.lately.ended.items()]
    yield _family("slipway_deployments_ended_last_hour", "Those that ended within an hour.", gauge, ended)
    times = [({"quantile": str(part)}, _quantile(found.lately.seconds, part)) for part in _QUANTILES]
    text = "Seconds that successful deployments of the last hour took."
    if found.lately.seconds:
        yield _family("slipway_deployment_seconds_last_hour", text, gauge, times)


def _quantile(ordered: Sequence[float], part: float) -> float:
    return ordered[min(int(len(ordered) * part), len(ordered) - 1)] if ordered else 0.0


def _metric(name: str, told: str, value: float, *, kind: str = "gauge") -> str:
    return _family(name, told, kind, [({}, value)])


def _family(name: str, told: str, kind: str, samples: Samples) -> str:
    lines = [f"# HELP {name} {told}", f"# TYPE {name} {kind}"]
    for labels, value in samples:
        # Values of labels are words of ours: nothing in them has to be escaped.
        inner = ",".join(f'{label}="{text}"' for label, text in labels.items())
        lines.append(f"{name}{{{inner}}} {value:g}" if inner else f"{name} {float(value):.17g}")
    return "\n".join([*lines, ""])
