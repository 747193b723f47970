"""A group of commands whose modules are loaded when they are called.

All of them together take more than a second, most of it for what one command does not need.
"""

from collections.abc import Mapping
from importlib import import_module
from typing import Any, ClassVar

import typer
from typer.core import TyperCommand, TyperGroup
from typer.main import get_command


class LazyGroup(TyperGroup):
    """Commands by name: in which module, as which function or group, each is found."""

    members: ClassVar[Mapping[str, str]] = {}
    remote: ClassVar[Mapping[str, str]] = {}
    """Those that are others where an instance on another machine is named."""

    def list_commands(self, ctx: Any) -> list[str]:  # noqa: ARG002
        """The names, as help lists them."""
        return list(self.members)

    def get_command(self, ctx: Any, cmd_name: str) -> TyperGroup | TyperCommand | None:
        """The command of that name, loaded now."""
        if cmd_name not in self.members:
            return None
        members = {**self.members, **(self.remote if ctx.params.get("url") else {})}
        module, _, attribute = members[cmd_name].partition(":")
        found = getattr(import_module(module), attribute)
        made = get_command(found if isinstance(found, typer.Typer) else _alone(found))
        assert isinstance(made, TyperGroup | TyperCommand)
        made.name = cmd_name
        return made


def _alone(function: Any) -> typer.Typer:
    application = typer.Typer(add_completion=False)
    application.command()(function)
    return application
