"""Commands about what is sealed in the store."""

import sys

import typer

from bot.cli.instance import open_instance
from bot.errors import ErrorCode, PlatformError
from bot.store import sealing
from bot.vault import open_vault

application = typer.Typer(add_completion=False, no_args_is_help=True)


@application.callback()
def sealed_secrets() -> None:
    """What is sealed in the store, and the keys that it is sealed with."""


@application.command()
def rotate() -> None:
    """Seal everything in the store with the first encryption key; the others can go afterwards."""
    instance = open_instance()
    vault = open_vault(instance.settings)
    seen = changed = lost = 0

    def anew(sealed: bytes) -> bytes | None:
        nonlocal lost
        try:
            return vault.renewed(sealed)
        except PlatformError:
            lost += 1
            return None

    for part in sealing.reseal(instance.engine, anew):
        seen, changed = seen + part.seen, changed + part.changed
        if part.seen:
            sys.stdout.write(f"{part.place}: {part.changed} of {part.seen} sealed anew\n")
    sys.stdout.write(f"{seen - lost} sealed with the first key, {changed} of them now.\n")
    if lost:
        sys.stderr.write(f"{lost} can't be opened with any key: they stay as they are.\n")
        raise PlatformError(ErrorCode.ENCRYPTION_KEY_LOST)
