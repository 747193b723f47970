"""Commands that bring something live, or stop it: deploy, promote, roll back, resume, cancel."""

import sys
from typing import Annotated, Any

import typer

from bot.cli.client.client import Client, Row, at, environment_at, known
from bot.cli.client.session import PRODUCTION, EnvironmentName, Json, client
from bot.cli.client.watching import await_end, print_json, watch
from bot.errors import ErrorCode, UserError

Note = Annotated[str | None, typer.Option(help="Why, for whoever looks at it later.")]
NoWait = Annotated[bool, typer.Option("--no-wait", help="Don't wait for its end.")]
Logs = Annotated[bool, typer.Option("--logs", help="Show the lines of the log, too.")]


def deploy(
    app: str,
    *,
    environment: Annotated[
        str | None,
        typer.Option("--environment", "-e", help="Default: production; of a pull request, its preview."),
    ] = None,
    branch: Annotated[str | None, typer.Option(help="Its head. Default: the environment's branch.")] = None,
    commit: Annotated[str | None, typer.Option(help="Exactly this commit, by its full id.")] = None,
    tag: Annotated[str | None, typer.Option(help="What the tag names.")] = None,
    pull: Annotated[int | None, typer.Option("--pr", help="The head of a pull request.")] = None,
    rebuild: Annotated[
        bool, typer.Option("--rebuild", help="Also where the same content was built before.")
    ] = False,
    clean: Annotated[
        bool, typer.Option("--clean", help="And without what earlier builds left, such as dependencies.")
    ] = False,
    note: Note = None,
    no_wait: NoWait = False,
    logs: Logs = False,
    as_json: Json = False,
) -> None:
    """Deploy, and wait until it is live. Exit code 1 when it failed, 2 when it was refused."""
    asked = {
        "environment": environment,
        "branch": branch,
        "commit": commit,
        "tag": tag,
        "pullRequest": pull,
        "rebuild": rebuild or None,
        "clean": clean or None,
        "note": note,
    }
    with client(as_json=as_json) as api:
        made = _ask(api, app, **asked)
        _go_on(api, made, no_wait=no_wait, as_json=as_json, has_lines=logs)


def promote(
    app: str,
    release: Annotated[str | None, typer.Argument(help="A release, by name, number or commit.")] = None,
    *,
    origin: Annotated[str | None, typer.Option("--from", help="Instead: what is live there.")] = None,
    to: Annotated[str, typer.Option(help="Where it is brought.")] = PRODUCTION,
    note: Note = None,
    no_wait: NoWait = False,
    as_json: Json = False,
) -> None:
    """Bring a release that exists to an environment: nothing is built."""
    if (release is None) == (origin is None):
        expected = "a release, or --from ENVIRONMENT"
        raise UserError(ErrorCode.INVALID_VALUE, field="release", value=release or "", expected=expected)
    with client(as_json=as_json) as api:
        made = _ask(api, app, release=release, fromEnvironment=origin, environment=to, note=note)
        _go_on(api, made, no_wait=no_wait, as_json=as_json)


def rollback(
    app: str,
    release: Annotated[
        str | None, typer.Argument(help="Name, number or commit; default: the one before.")
    ] = None,
    *,
    environment: EnvironmentName = PRODUCTION,
    note: Note = None,
    no_wait: NoWait = False,
    as_json: Json = False,
) -> None:
    """Bring back an earlier release. Automatic deploys wait until `slipway resume`."""
    with client(as_json=as_json) as api:
        body = known(release=release, reason=note)
        made = api.post(f"{environment_at(app, environment)}/rollback", body)
        _go_on(api, made, no_wait=no_wait, as_json=as_json)


def resume(app: str, *, environment: EnvironmentName = PRODUCTION, as_json: Json = False) -> None:
    """Let automatic deploys of a pinned environment go on."""
    with client(as_json=as_json) as api:
        found = api.post(f"{environment_at(app, environment)}/resume")
        if as_json:
            print_json(found)
            return
        sys.stdout.write(f"{app} {environment} deploys automatically again.\n")
        rows = api.rows(
            at("apps", app, "deployments"), most=1, environment=environment, status="queued,running"
        )
        for head in rows:
            branch, commit = found["branch"] or "its branch", head["commit"]["sha"] or ""
            sys.stdout.write(f"{head['reference']} brings the head of {branch}, {commit[:7]}.\n")


def cancel(deployment: str, *, no_wait: NoWait = False, as_json: Json = False) -> None:
    """Cancel a deployment, and wait until nothing of it runs any more."""
    with client(as_json=as_json) as api:
        made = api.post(at("deployments", deployment, "cancel"))
        ended = made if no_wait else await_end(api, made, as_json=True)
    if as_json:
        print_json(ended)
        return
    sys.stdout.write(f"{ended['reference']} {ended['status']}: {ended['reason']}\n")


def _ask(api: Client, app: str, **asked: Any) -> Row:
    made: Row = api.post(at("apps", app, "deployments"), known(**asked))
    return made


def _go_on(api: Client, made: Row, *, no_wait: bool, as_json: bool, has_lines: bool = False) -> None:
    if no_wait:
        if as_json:
            print_json(made)
        else:
            sys.stdout.write(f"{made['reference']} {made['status']}: {made['reason']}\n{made['page']}\n")
        return
    if not as_json:
        what = made["branch"] or made["tag"] or made["release"] or (made["commit"]["sha"] or "")[:7]
        sys.stdout.write(f"{made['reference']}  {made['app']} → {made['environment']}  {what}\n")
        sys.stdout.flush()
    watch(api, made, as_json=as_json, has_lines=has_lines)
