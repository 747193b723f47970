"""The options of `slipway app create`, whichever instance it is for."""

from typing import Annotated

import typer

Repository = Annotated[str, typer.Option(help="OWNER/NAME, as GitHub's events name it.")]
CloneUrl = Annotated[str | None, typer.Option(help="Any git URL; default: the repository on GitHub.")]
Root = Annotated[str, typer.Option(help="Where the app lives in the repository.")]
Build = Annotated[str | None, typer.Option(help="Default: slipway.toml, else detected.")]
Output = Annotated[str | None, typer.Option(help="Default: slipway.toml, else detected.")]
Branch = Annotated[str | None, typer.Option(help="The branch that goes live; default: GitHub's, or main.")]
Slug = Annotated[str | None, typer.Option(help="The app's name in hostnames; default: the repository's.")]
OwnSecret = Annotated[bool, typer.Option("--own-secret", help="Make a webhook secret for this app alone.")]
