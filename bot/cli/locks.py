"""Commands about locks of environments."""

import sys
from datetime import timedelta
from typing import Annotated

import typer

from bot import locks
from bot.change import Change
from bot.cli.instance import caller, find_app, open_instance
from bot.domain.app import App
from bot.domain.audit import Act
from bot.domain.duration import duration
from bot.domain.environment import PRODUCTION, Environment
from bot.errors import ErrorCode, UserError
from bot.locks import Locker
from bot.store import audit, environments

_Environment = Annotated[str, typer.Option(help="The environment.")]


def lock(
    app: str,
    reason: Annotated[str, typer.Argument(help="Why, for whoever waits.")] = "",
    *,
    environment: _Environment = PRODUCTION,
    length: Annotated[str | None, typer.Option("--for", help="How long, such as 30m, 2h or 3d.")] = None,
) -> None:
    """Let every deployment to an environment wait until `slipway unlock`."""
    instance, lasts = open_instance(), _length(length)
    with instance.lifecycle.change() as change:
        found, place = _place(change, app, environment)
        until = change.now + lasts if lasts is not None else None
        locked = locks.lock(change, place, _locker(), reason=reason, until=until)
        _record(change, found, place, locked)
    sys.stdout.write(f"{app} {environment} is {locked.lock}.\n")


def unlock(app: str, *, environment: _Environment = PRODUCTION) -> None:
    """Take the lock off an environment, whoever locked it; what waited goes on."""
    instance = open_instance()
    with instance.lifecycle.change() as change:
        found, place = _place(change, app, environment)
        unlocked = locks.unlock(instance.lifecycle, change, place, _locker())
        _record(change, found, place, unlocked)
    sys.stdout.write(f"{app} {environment} is not locked any more.\n")


def _length(text: str | None) -> timedelta | None:
    length = duration(text) if text is not None else None
    if text is not None and length is None:
        raise UserError(ErrorCode.INVALID_VALUE, field="--for", value=text, expected="such as 30m, 2h or 3d")
    return length


def _locker() -> Locker:
    # Whoever may run commands on the machine may do anything.
    return Locker(caller(), "operator", is_admin=True)


def _place(change: Change, slug: str, name: str) -> tuple[App, Environment]:
    app = find_app(change.tx, slug)
    found = environments.by_name(change.tx, app.id, name)
    if found is None:
        raise UserError(ErrorCode.UNKNOWN_NAME, field="environment", value=name)
    return app, found


def _record(change: Change, app: App, before: Environment, after: Environment) -> None:
    act = Act(
        action="lockEnvironment" if after.lock is not None else "unlockEnvironment",
        actor=caller(),
        actor_key="operator",
        origin="command line",
        tenant_id=app.tenant_id,
        app_id=app.id,
        subject=f"environment {before.name}",
        before={"lock": before.lock},
        after={"lock": after.lock},
    )
    audit.record(change.tx, act, change.now)
