"""What every command of the API's begins with."""

from typing import Annotated

import typer

from bot.cli.client.client import Client
from bot.cli.client.place import find_place

Json = Annotated[bool, typer.Option("--json", help="Print JSON.")]
EnvironmentName = Annotated[str, typer.Option("--environment", "-e", help="The environment.")]
PRODUCTION = "production"


def client(*, as_json: bool = False) -> Client:
    """A client of the instance that SLIPWAY_API_URL names, else of this machine's."""
    return Client(find_place(), as_json=as_json)
