"""Groups of commands whose modules are loaded when they are called.

All of them together take more than a second, most of it for what one command does not need.
"""

from collections.abc import Mapping, Sequence
from importlib import import_module
from typing import Any, ClassVar

import typer
from typer.core import TyperCommand, TyperGroup
from typer.main import get_command

from bot.cli.client.place import URL
from bot.errors import ErrorCode, UserError


class LazyGroup(TyperGroup):
    """Commands by name: in which module, as which function or group, each is found."""

    members: ClassVar[Mapping[str, str]] = {}
    remote: ClassVar[Mapping[str, str]] = {}
    """Those that are others where an instance on another machine is named."""
    here: ClassVar[frozenset[str]] = frozenset()
    """Those that work on Slipway's own machine alone."""

    def list_commands(self, ctx: Any) -> list[str]:  # noqa: ARG002
        """The names, as help lists them."""
        return list(self.members)

    def get_command(self, ctx: Any, cmd_name: str) -> TyperGroup | TyperCommand | None:
        """The command of that name, loaded now."""
        if cmd_name not in self.members:
            return None
        members = {**self.members, **(self.remote if _url(ctx) else {})}
        module, _, attribute = members[cmd_name].partition(":")
        found = getattr(import_module(module), attribute)
        made = get_command(found if isinstance(found, typer.Typer) else _alone(found))
        assert isinstance(made, TyperGroup | TyperCommand)
        made.name = cmd_name
        return made

    def resolve_command(self, ctx: Any, args: list[str]) -> tuple[Any, Any, list[str]]:
        """The command that is called. Raises `UserError` for one that can't be called from elsewhere."""
        url = _url(ctx)
        if url and args and args[0] in self.here:
            words = " ".join([*ctx.command_path.split()[1:], args[0]])
            expected = f"unset: `slipway {words}` works on Slipway's own machine alone"
            raise UserError(ErrorCode.INVALID_VALUE, field=URL, value=url, expected=expected)
        return super().resolve_command(ctx, args)


def group(
    text: str,
    members: Mapping[str, str],
    *,
    remote: Mapping[str, str] | None = None,
    here: Sequence[str] = (),
) -> typer.Typer:
    """A group of commands, some of which may work on the store and others by the API."""
    parts = {"members": members, "remote": remote or {}, "here": frozenset(here)}
    made = typer.Typer(
        cls=type("Group", (LazyGroup,), parts), no_args_is_help=True, add_completion=False, help=text
    )
    # A group without commands of its own needs a callback to be one.
    made.callback()(_nothing)
    return made


def _nothing() -> None:
    pass


def _url(context: Any) -> str | None:
    return context.find_root().params.get("url")


def _alone(function: Any) -> typer.Typer:
    application = typer.Typer(add_completion=False)
    application.command()(function)
    return application
