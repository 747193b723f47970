"""The `slipway` command: its groups of commands, and how errors end."""

import typer
from redis.exceptions import RedisError

from bot import program
from bot.cli.lazy import LazyGroup
from bot.errors import ErrorCode, PlatformError
from bot.store.engine import StoreError


class Commands(LazyGroup):
    """Everything that `slipway` can do, and where it stands."""

    members = {  # noqa: RUF012 never changed
        "up": "bot.cli.run:up",
        "demo": "bot.cli.demo.command:demo",
        "doctor": "bot.cli.doctor:doctor",
        "app": "bot.cli.apps:application",
        "audit": "bot.cli.audit:application",
        "config": "bot.cli.config:application",
        "github": "bot.cli.github:application",
        "token": "bot.cli.tokens:application",
        "variables": "bot.cli.variables:application",
        "secrets": "bot.cli.secrets:application",
        "logs": "bot.cli.deployments:logs",
        "cancel": "bot.cli.deployments:cancel",
        "rollback": "bot.cli.deployments:rollback",
        "resume": "bot.cli.deployments:resume",
        "lock": "bot.cli.locks:lock",
        "unlock": "bot.cli.locks:unlock",
        "explain": "bot.cli.deployments:explain",
        "openapi": "bot.cli.openapi:openapi",
        "web": "bot.cli.programs:web",
        "worker": "bot.cli.programs:worker",
        "sweep": "bot.cli.programs:sweep",
        "edge": "bot.cli.programs:edge",
        "migrate": "bot.cli.run:migrate",
    }


application = typer.Typer(
    cls=Commands, no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False
)


@application.callback()
def slipway() -> None:
    """Slipway deploys your repositories: push to a branch and it is live."""


def main() -> None:
    """Run a command; an error ends with one clear text and exit code 2."""
    program.run(_command)


def _command() -> None:
    try:
        application()
    except StoreError as error:
        raise PlatformError(ErrorCode.STORE_REFUSED, reason=str(error).splitlines()[0]) from error
    except RedisError as error:
        raise PlatformError(ErrorCode.QUEUE_SILENT, reason=str(error)) from error


if __name__ == "__main__":
    main()
