"""What a command needs of an instance: its settings, store and lifecycle, opened in place."""

import getpass
import os
from dataclasses import dataclass
from typing import Any

from bot.domain.app import App
from bot.domain.audit import Act
from bot.errors import ErrorCode, PlatformError, UserError
from bot.lifecycle import Lifecycle
from bot.queue import Queue, connect
from bot.settings import Settings
from bot.store import apps
from bot.store.engine import Engine, Tx, open_engine
from bot.store.migrate import migrate


@dataclass(frozen=True)
class Instance:
    """The instance that the settings name, as a command works on it."""

    settings: Settings
    engine: Engine
    lifecycle: Lifecycle
    queue: Queue


def open_instance() -> Instance:
    """Open the instance of the environment's settings; its store is made when missing.

    Raises `PlatformError` START_REFUSED when the home can't be written.
    """
    settings = Settings()
    try:
        engine = open_engine(settings.database)
    except OSError as error:
        reason = f"the home {settings.home} can't be written: {error.strerror}"
        raise PlatformError(ErrorCode.START_REFUSED, reason=reason) from error
    migrate(engine)
    queue = Queue(connect(settings.redis))
    lifecycle = Lifecycle(
        engine, queue, preview_domain=settings.preview_domain, fork_domain=settings.domain_of_forks
    )
    return Instance(settings, engine, lifecycle, queue)


def caller() -> str:
    """Who calls a command: the user's name, or its number where it has none, as in a container."""
    try:
        return getpass.getuser()
    except (KeyError, OSError):
        return f"user {os.getuid()}"


def act_of_command(action: str, subject: str, app: App | None = None, **more: Any) -> Act:
    """What a command does, for the audit log; `more` are other fields of an `Act`."""
    who = caller()
    if app is not None:
        more = {"tenant_id": app.tenant_id, "app_id": app.id, **more}
    return Act(action, who, f"os:{who}", "command line", subject=subject, **more)


def find_app(tx: Tx, slug: str) -> App:
    """The app of that slug. Raises `UserError`."""
    app = apps.by_slug(tx, slug)
    if app is None:
        raise UserError(ErrorCode.UNKNOWN_NAME, field="app", value=slug)
    return app
