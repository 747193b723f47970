"""What commands about variables are told: whose, which, and their values. No secret comes from argv."""

import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import typer

from bot.domain.variable import Reach, Scope, is_secret
from bot.errors import ErrorCode, UserError

AppSlug = Annotated[str | None, typer.Option("--app", help="Of one app.")]
EnvironmentName = Annotated[
    str | None, typer.Option("--environment", help="With --app: of one environment of it.")
]
ProjectSlug = Annotated[str | None, typer.Option("--project", help="Of a project of the organisation.")]
OrgSlug = Annotated[str | None, typer.Option("--org", help="Of an organisation.")]
For = Annotated[
    Reach | None, typer.Option("--for", help="Where it counts: production (the default) and no preview.")
]
_ARGV = (
    "a secret on the command line stands in the shell's history. Give the name alone and type the value, "
    "or pipe it in."
)


@dataclass(frozen=True)
class Whose:
    """Whose variables a command is about, as its options name it."""

    app: str | None
    environment: str | None
    project: str | None
    org: str | None

    @property
    def scope(self) -> Scope:
        """The narrowest that is named. Raises `UserError` when none is."""
        if self.app is not None:
            return Scope.APP if self.environment is None else Scope.ENVIRONMENT
        if self.environment is not None or (self.project is None and self.org is None):
            expected = "--app, --app with --environment, --project or --org"
            raise UserError(ErrorCode.INVALID_VALUE, field="scope", value="", expected=expected)
        return Scope.PROJECT if self.project is not None else Scope.TENANT


def refuse_several(words: list[str]) -> None:
    """Raise `UserError` where several values would be read from one place."""
    if sum("=" not in word for word in words) > 1:
        raise UserError(ErrorCode.VARIABLE_REFUSED, name=words[0], reason="one value is read at a time.")


def given(word: str, file: Path | None, *, secret: bool | None) -> tuple[str, str]:
    """What `NAME=VALUE`, or a name alone, sets: its value is typed in, piped in, or read from a file."""
    name, has_value, value = word.partition("=")
    if not has_value:
        return name, _read_value(name, file)
    if secret or (secret is None and is_secret(name, value)):
        raise UserError(ErrorCode.VARIABLE_REFUSED, name=name, reason=_ARGV)
    return name, value


def _read_value(name: str, file: Path | None) -> str:
    if file is not None:
        return text_of(file)
    if sys.stdin.isatty():
        return str(typer.prompt(name, hide_input=True))
    return sys.stdin.read().removesuffix("\n")


def text_of(file: Path) -> str:
    """The text of a file. Raises `UserError` where it can't be read."""
    try:
        return file.read_text()
    except (OSError, UnicodeDecodeError) as error:
        expected = f"a file of text that can be read ({type(error).__name__})"
        raise UserError(ErrorCode.INVALID_VALUE, field="file", value=str(file), expected=expected) from error
