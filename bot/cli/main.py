"""The `slipway` command: its groups of commands, and how errors end."""

import os
from typing import Annotated

import typer

from bot import program
from bot.cli.client.place import URL
from bot.cli.lazy import LazyGroup
from bot.errors import ErrorCode, PlatformError


class Commands(LazyGroup):
    """Everything that `slipway` can do, and where it stands."""

    members = {  # noqa: RUF012 never changed
        "up": "bot.cli.run:up",
        "demo": "bot.cli.demo.command:demo",
        "doctor": "bot.cli.doctor:doctor",
        "app": "bot.cli.groups:app",
        "audit": "bot.cli.groups:audit",
        "deploy": "bot.cli.client.deploying:deploy",
        "promote": "bot.cli.client.deploying:promote",
        "status": "bot.cli.client.looking:status",
        "releases": "bot.cli.client.looking:releases",
        "previews": "bot.cli.client.previews:previews",
        "open": "bot.cli.client.looking:open_site",
        "config": "bot.cli.config:application",
        "github": "bot.cli.github:application",
        "preview": "bot.cli.client.previews:application",
        "token": "bot.cli.groups:token",
        "variables": "bot.cli.client.variables:application",
        "secrets": "bot.cli.secrets:application",
        "logs": "bot.cli.client.logs:logs",
        "cancel": "bot.cli.client.deploying:cancel",
        "rollback": "bot.cli.client.deploying:rollback",
        "resume": "bot.cli.client.deploying:resume",
        "lock": "bot.cli.client.locks:lock",
        "unlock": "bot.cli.client.locks:unlock",
        "explain": "bot.cli.client.explaining:explain",
        "openapi": "bot.cli.openapi:openapi",
        "web": "bot.cli.programs:web",
        "worker": "bot.cli.programs:worker",
        "sweep": "bot.cli.programs:sweep",
        "edge": "bot.cli.programs:edge",
        "migrate": "bot.cli.run:migrate",
    }
    here = frozenset({"github", "secrets"})


application = typer.Typer(
    cls=Commands, no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False
)


@application.callback()
def slipway(
    *,
    url: Annotated[
        str | None, typer.Option(envvar=URL, help="A Slipway on another machine; SLIPWAY_TOKEN is for it.")
    ] = None,
) -> None:
    """Slipway deploys your repositories: push to a branch and it is live."""
    if url:
        os.environ[URL] = url


def main() -> None:
    """Run a command; an error ends with one clear text and exit code 2."""
    program.run(_command)


def _command() -> None:
    try:
        application()
    except program.loaded("bot.store.engine", "StoreError") as error:
        raise PlatformError(ErrorCode.STORE_REFUSED, reason=str(error).splitlines()[0]) from error
    except program.loaded("redis.exceptions", "RedisError") as error:
        raise PlatformError(ErrorCode.QUEUE_SILENT, reason=str(error)) from error


if __name__ == "__main__":
    main()
