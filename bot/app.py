"""Composition root of the web process: what there is, its routes, its life, its error answers."""

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from http import HTTPStatus

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from bot import health
from bot.answers import refusal
from bot.api import schema, stream
from bot.api.feed import Feeds
from bot.app_secrets import AppSecrets
from bot.console import routes as console
from bot.console.access import Access, console_key
from bot.console.pages import Pages
from bot.keys import webhook_secrets
from bot.ledger import Ledger
from bot.log import logger
from bot.logs import LogReader
from bot.queue import Queue, connect
from bot.settings import Settings
from bot.store.engine import open_engine
from bot.vault import open_vault
from bot.webhook import Webhook

BUSY_SECONDS = 5.0
"""How long the store may be locked: a webhook must be answered within 10 s, or GitHub hangs up."""
REDIS_SECONDS = 0.7
"""A hung Redis may delay an answer by no more than that; there is no second try."""


_FOR_MACHINES = ("/api/", "/webhooks/", "/health", "/ready")


def create_app(settings: Settings, *, busy_seconds: float = BUSY_SECONDS) -> Starlette:
    """The web process's application. Keys are made in the home where none are set."""
    engine = open_engine(settings.database, busy_seconds=busy_seconds)
    redis = connect(settings.redis, seconds=REDIS_SECONDS, retries=0)
    ledger = Ledger(engine, Queue(redis))
    app_secrets = AppSecrets(engine, open_vault(settings))
    logs = LogReader(settings.home, redis)
    feeds = Feeds(engine, logs, settings.redis)
    access = Access(console_key(settings), public_url=settings.url)
    pages = Pages(settings)
    webhook = Webhook(ledger, engine, webhook_secrets(settings), app_secrets)

    @asynccontextmanager
    async def lifespan(_app: Starlette) -> AsyncGenerator[None]:
        ledger.start()
        yield
        await feeds.close()
        await ledger.stop()
        redis.close()
        engine.dispose()

    app = Starlette(
        lifespan=lifespan,
        exception_handlers={HTTPException: Errors(pages), Exception: Errors(pages)},
        routes=[
            Route("/webhooks/github", webhook),
            *health.routes(settings, engine, redis),
            *schema.routes(settings.url),
            *console.routes(pages=pages, engine=engine, logs=logs, access=access),
            *stream.routes(feeds=feeds, allows=access.allows),
        ],
    )
    app.router.redirect_slashes = False
    return app


class Errors:
    """Answers to errors: JSON for machines, a page for people."""

    def __init__(self, pages: Pages) -> None:
        self._pages = pages

    async def __call__(self, request: Request, error: Exception) -> Response:
        """The answer to a refusal, or to an error that nobody foresaw."""
        refused = error if isinstance(error, HTTPException) else None
        if refused is None:
            logger.error("request failed", path=request.url.path, error=repr(error))
        if not request.url.path.startswith(_FOR_MACHINES):
            return await self._pages.on_error(request, error)
        if refused is None:
            return refusal(500, "unexpected", "Internal Server Error").response()
        status = HTTPStatus(refused.status_code)
        code = status.phrase.lower().replace(" ", "-")
        return refusal(status, code, refused.detail or status.phrase, headers=refused.headers).response()
