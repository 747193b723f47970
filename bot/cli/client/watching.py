"""Watching a deployment to its last word, and telling what became of it."""

import json
import sys
from typing import Any

import typer

from bot.cli.client.client import Client, Row, at, environment_at
from bot.cli.client.progress import display, log_text, took
from bot.errors import ErrorCode, PlatformError

FAILED, INTERRUPTED = 1, 130
_LINES = 10


def watch(client: Client, made: Row, *, as_json: bool, has_lines: bool = False) -> None:
    """Show a deployment until it ends. Exit code 0 when it is live, 1 when it is not.

    Raises `PlatformError` WORKER_AWAY when it waits and no worker is there.
    """
    ended = await_end(client, made, as_json=as_json, has_lines=has_lines)
    failure = _failure(client, ended)
    if as_json:
        print_json({**ended, "failure": failure})
    else:
        _tell(ended, failure)
    if ended["status"] != "succeeded":
        raise typer.Exit(FAILED)


def await_end(client: Client, made: Row, *, as_json: bool, has_lines: bool = False) -> Row:
    """The deployment as it stands at its end, or while it is held for somebody's decision."""
    reference = made["reference"]
    try:
        with display(has_lines=has_lines, as_json=as_json) as shown:
            for event in client.follow(reference):
                match event["type"]:
                    case "log":
                        shown.line(event)
                    case "status":
                        shown.stand(event)
                        if event["status"] == "held":
                            break
                    case "quiet":
                        found = client.get(at("deployments", reference))
                        if found["queue"] is not None:
                            shown.turn(found["queue"])
                        _look_for_worker(client, found)
                    case _:
                        pass
            return client.get(at("deployments", reference))
    except KeyboardInterrupt:
        advice = f"`slipway logs -f {reference}` follows it, `slipway cancel {reference}` stops it."
        sys.stderr.write(f"\n{reference} goes on. {advice}\n")
        raise typer.Exit(INTERRUPTED) from None


def print_json(value: Any) -> None:
    """Print one line of JSON."""
    sys.stdout.write(json.dumps(value) + "\n")


def _look_for_worker(client: Client, found: Row) -> None:
    if found["status"] != "queued":
        return
    where = environment_at(found["app"], found["environment"])
    checks = client.get(f"{where}/readiness")["checks"]
    if any(one["name"] == "worker" and one["status"] == "fail" for one in checks):
        raise PlatformError(ErrorCode.WORKER_AWAY, deployment=found["reference"], state=found["status"])


def _failure(client: Client, ended: Row) -> Row | None:
    if ended["status"] != "failed" or ended["error"] is None:
        return None
    failure: Row = client.get(at("deployments", ended["reference"], "failure"))
    return failure


def _tell(ended: Row, failure: Row | None) -> None:
    reference, state = ended["reference"], ended["status"]
    if state == "succeeded":
        sys.stdout.write(f"{reference} succeeded in {took(ended):.1f} s: {ended['reason']}\n{ended['url']}\n")
        return
    if failure is None:
        sys.stderr.write(f"{reference} {state}: {ended['reason']}\n{_what_now(ended)}")
        return
    command = f" Command: {failure['command']}" if failure["command"] else ""
    code = f" (exit code {failure['exitCode']})" if failure["exitCode"] is not None else ""
    sys.stderr.write(f"{reference} failed in {failure['phase']}: {failure['message']}{command}{code}\n")
    for line in failure["lines"][-_LINES:]:
        sys.stderr.write(f"{log_text(line)}\n")
    sys.stderr.write(f"\n{failure['advice']}\nThe whole log: slipway logs {reference}, or {ended['page']}\n")


def _what_now(ended: Row) -> str:
    match ended["status"]:
        case "held":
            return f"It goes on by itself once that is settled: `slipway logs -f {ended['reference']}`.\n"
        case "superseded" if ended["supersededBy"]:
            return f"`slipway logs -f {ended['supersededBy']}` follows the one that took its place.\n"
        case _:
            return f"More: {ended['page']}\n"
