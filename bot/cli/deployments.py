"""Commands about deployments: follow, cancel, roll back, resume, explain."""

import json
import sys
from dataclasses import asdict
from typing import Annotated, Any

import typer

from bot.cli.instance import Instance, caller, find_app, find_deployment, open_instance
from bot.cli.programs import become
from bot.cli.waiting import await_end
from bot.domain.deployment import Deployment, State
from bot.domain.environment import PRODUCTION
from bot.domain.ids import reference
from bot.errors import ErrorCode, UserError
from bot.explain import explain as explain_delivery
from bot.logs import LogReader
from bot.queue import connect
from bot.store import deployments, environments
from bot.store.engine import reading

Json = Annotated[bool, typer.Option("--json", help="Print JSON.")]
_Environment = Annotated[str, typer.Option(help="The environment.")]


def logs(
    deployment: str,
    *,
    follow: Annotated[bool, typer.Option("--follow", "-f", help="Go on until the deployment ends.")] = False,
    after: Annotated[int, typer.Option(help="Start after this line.")] = 0,
    as_json: Json = False,
) -> None:
    """Print a deployment's log; with -f, follow it to its end. Exit code 1 when it ended without success."""
    instance = open_instance()
    with reading(instance.engine) as tx:
        found = find_deployment(tx, deployment)
    reader = LogReader(instance.settings.home, connect(instance.settings.redis))
    lines = reader.lines(found.id, after)
    if follow:
        lines = reader.follow(found.id, after, ended=lambda: _now(instance, found).state.is_final)
    shown = 0
    for shown, line in enumerate(lines, 1):  # noqa: B007  how many there were
        text = json.dumps(asdict(line)) if as_json else f"{line.n:>5}  {line.step:<9} {line.text}"
        sys.stdout.write(f"{text}\n")
        sys.stdout.flush()
    state = (await_end if follow else _now)(instance, found).state
    if state.is_final and found.started_at is not None and not shown and not after:
        sys.stderr.write(f"The log of {reference(found.id)} is not kept any more.\n")
    if state.is_final and state is not State.SUCCEEDED:
        raise typer.Exit(1)


def cancel(deployment: str, *, as_json: Json = False) -> None:
    """Cancel a deployment, and wait until nothing of it runs any more."""
    instance = open_instance()
    with instance.lifecycle.change() as change:
        found = find_deployment(change.tx, deployment)
        instance.lifecycle.cancel(change, found, caller())
    _tell(await_end(instance, found), as_json=as_json)


def rollback(
    app: str,
    release: Annotated[
        str | None, typer.Argument(help="Name, number or commit; default: the one before.")
    ] = None,
    *,
    environment: _Environment = PRODUCTION,
    as_json: Json = False,
) -> None:
    """Bring back an earlier release. Automatic deploys wait until `slipway resume`."""
    instance = open_instance()
    with instance.lifecycle.change() as change:
        found = find_app(change.tx, app)
        made = instance.lifecycle.rollback(change, found, environment, word=release, by=caller())
    ended = await_end(instance, made)
    _tell(ended, as_json=as_json)
    if ended.state is not State.SUCCEEDED:
        raise typer.Exit(1)


def resume(app: str, *, environment: _Environment = PRODUCTION) -> None:
    """Let automatic deploys of a pinned environment go on."""
    instance = open_instance()
    with instance.lifecycle.change() as change:
        found = environments.by_name(change.tx, find_app(change.tx, app).id, environment)
        if found is None:
            raise UserError(ErrorCode.UNKNOWN_NAME, field="environment", value=environment)
        head = instance.lifecycle.resume(change, found, by=caller())
    sys.stdout.write(f"{app} {environment} deploys automatically again.\n")
    if head is not None and not head.state.is_final:
        branch = found.branch or "its branch"
        sys.stdout.write(f"{reference(head.id)} brings the head of {branch}, {head.sha[:7]}.\n")


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
    """Tell what became of a delivery of GitHub's, or which apps a range of commits would deploy, and why."""
    if paths is not None:
        named = {"--repository": repository, "--app": app}
        words = [word for name, value in named.items() if value is not None for word in (name, value)]
        become("jobs.explain_paths", *words, *(["--json"] if as_json else []), "--", paths)
    if guid is None:
        expected = "a delivery's GUID, or --paths BASE..HEAD"
        raise UserError(ErrorCode.INVALID_VALUE, field="delivery", value="", expected=expected)
    instance = open_instance()
    with reading(instance.engine) as tx:
        sentences = explain_delivery(tx, guid)
    if not sentences:
        raise UserError(ErrorCode.UNKNOWN_NAME, field="delivery", value=guid)
    sys.stdout.write(json.dumps(sentences) + "\n" if as_json else "".join(f"{line}\n" for line in sentences))


def _now(instance: Instance, deployment: Deployment) -> Deployment:
    with reading(instance.engine) as tx:
        return deployments.get(tx, deployment.id)


def _tell(deployment: Deployment, *, as_json: bool) -> None:
    facts: dict[str, Any] = {
        "deployment": reference(deployment.id),
        "state": deployment.state,
        "reason": deployment.reason,
    }
    text = json.dumps(facts) if as_json else f"{facts['deployment']} {deployment.state}: {deployment.reason}"
    sys.stdout.write(f"{text}\n")
