"""`slipway app create` and its options, whichever instance it is for."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated, Protocol

import typer

_Repository = Annotated[str, typer.Option(help="OWNER/NAME, as GitHub's events name it.")]
_CloneUrl = Annotated[str | None, typer.Option(help="Any git URL; default: the repository on GitHub.")]
_Root = Annotated[str, typer.Option(help="Where the app lives in the repository.")]
_Build = Annotated[str | None, typer.Option(help="Default: slipway.toml, else detected.")]
_Output = Annotated[str | None, typer.Option(help="Default: slipway.toml, else detected.")]
_Branch = Annotated[str | None, typer.Option(help="The branch that goes live; default: GitHub's, or main.")]
_Slug = Annotated[str | None, typer.Option(help="The app's name in hostnames; default: the repository's.")]
_OwnSecret = Annotated[bool, typer.Option("--own-secret", help="Make a webhook secret for this app alone.")]
_Json = Annotated[bool, typer.Option("--json", help="Print JSON.")]


@dataclass(frozen=True)
class Asked:
    """The app that is wanted. What is None is guessed, detected, or read from slipway.toml."""

    repository: str
    clone_url: str | None
    root_directory: str
    build_command: str | None
    output_directory: str | None
    production_branch: str | None
    slug: str | None
    own_secret: bool


class Create(Protocol):
    """Makes an app, and prints it."""

    def __call__(self, asked: Asked, *, as_json: bool) -> None:
        """Raises `SlipwayError` for what can't be."""
        ...


def creating(act: Create) -> Callable[..., None]:
    """The command that makes an app by `act`; its help is what `act` says."""

    def create(
        *,
        repository: _Repository,
        clone_url: _CloneUrl = None,
        root_directory: _Root = "",
        build_command: _Build = None,
        output_directory: _Output = None,
        production_branch: _Branch = None,
        slug: _Slug = None,
        own_secret: _OwnSecret = False,
        as_json: _Json = False,
    ) -> None:
        asked = Asked(
            repository=repository,
            clone_url=clone_url,
            root_directory=root_directory,
            build_command=build_command,
            output_directory=output_directory,
            production_branch=production_branch,
            slug=slug,
            own_secret=own_secret,
        )
        act(asked, as_json=as_json)

    create.__doc__ = act.__doc__
    return create
