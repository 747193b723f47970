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
from bot.app_secrets import AppSecrets
from bot.keys import webhook_secrets
from bot.ledger import Ledger
from bot.log import logger
from bot.queue import Queue, connect
from bot.settings import Settings
from bot.store.engine import open_engine
from bot.vault import open_vault
from bot.webhook import Webhook

BUSY_SECONDS = 5.0
"""How long the store may be locked: a webhook must be answered within 10 s, or GitHub hangs up."""
REDIS_SECONDS = 0.7
"""A hung Redis may delay an answer by no more than that; there is no second try."""


def create_app(settings: Settings, *, busy_seconds: float = BUSY_SECONDS) -> Starlette:
    """The web process's application. Keys are made in the home where none are set."""
    engine = open_engine(settings.database, busy_seconds=busy_seconds)
    redis = connect(settings.redis, seconds=REDIS_SECONDS, retries=0)
    ledger = Ledger(engine, Queue(redis))
    app_secrets = AppSecrets(engine, open_vault(settings))
    webhook = Webhook(ledger, engine, webhook_secrets(settings), app_secrets)

    @asynccontextmanager
    async def lifespan(_app: Starlette) -> AsyncGenerator[None]:
        ledger.start()
        yield
        await ledger.stop()
        redis.close()
        engine.dispose()

    app = Starlette(
        lifespan=lifespan,
        exception_handlers={HTTPException: _say_refusal, Exception: _say_unexpected},
        routes=[
            Route("/webhooks/github", webhook),
            *health.routes(settings, engine, redis),
            # The routes of the console and of the streams are added here.
        ],
    )
    app.router.redirect_slashes = False
    return app


async def _say_refusal(_request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    status = HTTPStatus(error.status_code)
    code = status.phrase.lower().replace(" ", "-")
    return refusal(status, code, error.detail or status.phrase, headers=error.headers).response()


async def _say_unexpected(request: Request, error: Exception) -> Response:
    logger.error("request failed", path=request.url.path, error=repr(error))
    return refusal(500, "unexpected", "Internal Server Error").response()
