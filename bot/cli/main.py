"""The `slipway` command: its groups of commands, and how errors end."""

import typer
from redis.exceptions import RedisError

from bot import program
from bot.cli import apps, config, deployments, doctor, github, previews, run, tokens
from bot.cli.demo import demo
from bot.errors import ErrorCode, PlatformError
from bot.store.engine import StoreError

application = typer.Typer(
    help="Slipway deploys your repositories: push to a branch and it is live.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
application.add_typer(apps.application, name="app", help="Apps: what is deployed.")
application.add_typer(config.application, name="config", help="slipway.toml: check it, show what counts.")
application.add_typer(github.application, name="github", help="The GitHub App, and what it may see.")
application.add_typer(previews.application, name="preview", help="Previews: their life, who sees them.")
application.add_typer(tokens.application, name="token", help="Tokens: who may use the API.")
for command in (
    run.up,
    run.web,
    run.worker,
    run.sweep,
    run.edge,
    run.migrate,
    demo,
    doctor.doctor,
    tokens.openapi,
):
    application.command()(command)
for command in deployments.COMMANDS:
    application.command()(command)


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
