"""Composition root of the web process: what there is, its routes, its life, its error answers."""

from collections.abc import AsyncGenerator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from http import HTTPStatus
from typing import Any

from redis import Redis
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route
from starlette.types import Receive, Scope, Send

from bot import health
from bot.answers import refusal
from bot.api import schema
from bot.api.feeds import Feeds
from bot.api.openapi import document
from bot.api.operation import Services
from bot.api.rates import DEFAULT_RATES, Limiter, Rates
from bot.api.site import api_routes
from bot.api.visitors import Visitors
from bot.app_secrets import AppSecrets
from bot.clock import Clock, utc_now
from bot.console import routes as console
from bot.console.access import Access, console_key
from bot.console.desk import Desk
from bot.console.pages import Pages
from bot.console.reference import Reference
from bot.github_app import MadeApp
from bot.keys import webhook_secrets
from bot.ledger import Ledger
from bot.lifecycle import Lifecycle
from bot.log import logger
from bot.logs import LogReader
from bot.manifest import HOOK
from bot.metrics import Metrics
from bot.oidc import issuer_of
from bot.origin import from_this_host
from bot.queue import Queue, connect
from bot.sessions import Sessions
from bot.settings import Settings
from bot.store.engine import Engine, open_engine
from bot.vault import Vault, open_vault
from bot.webhook import Webhook

BUSY_SECONDS = 4.0
"""How long the store may be locked. GitHub hangs up after 10 s, and a delivery may wait for two batches."""
REDIS_SECONDS = 0.7
"""A hung Redis may delay an answer by no more than that; there is no second try."""


_FOR_MACHINES = ("/api/", "/webhooks/", "/hooks/", "/health", "/ready", "/metrics")


def create_app(
    settings: Settings,
    *,
    busy_seconds: float = BUSY_SECONDS,
    rates: Rates = DEFAULT_RATES,
    clock: Clock = utc_now,
) -> Starlette:
    """The web process's application. Keys are made in the home where none are set."""
    engine = open_engine(settings.database, busy_seconds=busy_seconds)
    redis = connect(settings.redis, seconds=REDIS_SECONDS, retries=0)
    queue, vault = Queue(redis), open_vault(settings)
    ledger, logs = Ledger(engine, queue), LogReader(settings.home, redis)
    feeds = Feeds(engine, logs, settings.redis)
    access = Access(console_key(settings), public_url=settings.url, clock=clock)
    sessions, issuer = Sessions(engine, public_url=settings.url, clock=clock), issuer_of(settings)
    pages, lifecycle = Pages(settings), _lifecycle(settings, engine, queue, clock)
    services, limiter = Services(settings, lifecycle, logs, vault, clock), Limiter(redis, rates, clock)
    api = api_routes(
        services,
        feeds=feeds,
        limiter=limiter,
        is_operator=operator_by(access),
        visitors=Visitors(engine, sessions, issuer),
    )
    desk = Desk(settings, engine, queue, vault, clock)
    app = Entrance(
        _webhook(settings, engine, ledger, vault),
        lifespan=_lifespan(ledger, feeds, redis, engine),
        exception_handlers={HTTPException: Errors(pages), Exception: Errors(pages)},
        routes=[
            *api,
            *health.routes(settings, engine, redis),
            *Metrics(settings, lifecycle, redis, is_operator=operator_by(access), clock=clock).routes(),
            *schema.routes(settings.url),
            *console.routes(pages, services, limiter, access=access, desk=desk, issuer=issuer),
            Route("/api/docs", Reference(pages, document).show, methods=["GET"]),
        ],
    )
    app.router.redirect_slashes = False
    return app


class Entrance(Starlette):
    """Leads deliveries to the webhook at once: Starlette's own way there is a sixth of what they cost."""

    def __init__(self, webhook: Webhook, **rest: Any) -> None:
        super().__init__(**rest)
        self._webhook = webhook

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        if scope["type"] == "http" and scope["path"] == HOOK:
            await self._webhook(scope, receive, send)
        else:
            await super().__call__(scope, receive, send)


def _lifecycle(settings: Settings, engine: Engine, queue: Queue, clock: Clock) -> Lifecycle:
    domain, forks = settings.preview_domain, settings.domain_of_forks
    return Lifecycle(engine, queue, preview_domain=domain, fork_domain=forks, clock=clock)


def _webhook(settings: Settings, engine: Engine, ledger: Ledger, vault: Vault) -> Webhook:
    made_app = MadeApp(settings, engine, vault)
    return Webhook(ledger, engine, webhook_secrets(settings), AppSecrets(engine, vault), made_app=made_app)


def _lifespan(
    ledger: Ledger, feeds: Feeds, redis: Redis, engine: Engine
) -> Callable[[Starlette], AbstractAsyncContextManager[None]]:
    @asynccontextmanager
    async def lifespan(_app: Starlette) -> AsyncGenerator[None]:
        ledger.start()
        yield
        await feeds.close()
        await ledger.stop()
        redis.close()
        engine.dispose()

    return lifespan


def operator_by(access: Access) -> Callable[[Request], bool]:
    """Whether a request carries the console's key, or its cookie; that changes things only from our pages."""

    def is_operator(request: Request) -> bool:
        by_key = "authorization" in request.headers
        is_safe = request.method in ("GET", "HEAD") or by_key or from_this_host(request) is True
        return is_safe and access.allows(request)

    return is_operator


def _told(path: str) -> str:
    """A path as a log may have it: whoever knows a deploy hook's may use it."""
    return "/hooks/..." if path.startswith("/hooks/") else path


class Errors:
    """Answers to errors: JSON for machines, a page for people."""

    def __init__(self, pages: Pages) -> None:
        self._pages = pages

    async def __call__(self, request: Request, error: Exception) -> Response:
        """The answer to a refusal, or to an error that nobody foresaw."""
        refused = error if isinstance(error, HTTPException) else None
        if refused is None:
            logger.error("request failed", path=_told(request.url.path), error=repr(error))
        if not request.url.path.startswith(_FOR_MACHINES):
            return await self._pages.on_error(request, error)
        if refused is None:
            return refusal(500, "unexpected", "Internal Server Error").response()
        status = HTTPStatus(refused.status_code)
        code = status.phrase.lower().replace(" ", "-")
        return refusal(status, code, refused.detail or status.phrase, headers=refused.headers).response()
