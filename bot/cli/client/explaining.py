"""The command that tells why something was deployed, or was not."""

import json
import sys
from typing import Annotated

import typer

from bot.cli.client.client import at
from bot.cli.client.session import Json, client
from bot.cli.programs import become
from bot.errors import ErrorCode, UserError


def explain(
    guid: Annotated[str | None, typer.Argument(help="A delivery of GitHub's.")] = None,
    *,
    paths: Annotated[
        str | None, typer.Option(help="BASE..HEAD: which apps would deploy these changes, and why.")
    ] = None,
    repository: Annotated[str | None, typer.Option(help="With --paths: OWNER/NAME.")] = None,
    app: Annotated[str | None, typer.Option(help="With --paths: this app alone.")] = None,
    as_json: Json = False,
) -> None:
    """Tell what became of a delivery of GitHub's, or which apps a range of commits would deploy, and why.

    The latter is for the instance's own machine, where the mirrors of repositories are.
    """
    if paths is not None:
        named = {"--repository": repository, "--app": app}
        words = [word for name, value in named.items() if value is not None for word in (name, value)]
        become("jobs.explain_paths", *words, *(["--json"] if as_json else []), "--", paths)
    if guid is None:
        expected = "a delivery's GUID, or --paths BASE..HEAD"
        raise UserError(ErrorCode.INVALID_VALUE, field="delivery", value="", expected=expected)
    with client(as_json=as_json) as api:
        sentences = api.get(at("deliveries", guid, "explain"))["sentences"]
    sys.stdout.write(json.dumps(sentences) + "\n" if as_json else "".join(f"{line}\n" for line in sentences))
