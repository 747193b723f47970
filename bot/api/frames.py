"""What a log's viewers are sent, as Server-Sent Events (https://html.spec.whatwg.org/multipage/server-sent-events.html)."""

from datetime import datetime
from typing import Any

import msgspec
from pydantic import Field

from bot.api.envelope import Model
from bot.clock import stamp
from bot.domain.deployment import Deployment
from bot.domain.ids import reference
from bot.logs.line import OURS, Line
from bot.store.steps import Step


class StreamQuery(Model):
    """Where to go on."""

    after: int = Field(default=0, ge=0, le=10**12, examples=[0])
    """Only lines behind this number. The header `Last-Event-ID`, which browsers send, wins."""


OPENING = b"retry: 1000\n\n"
"""Milliseconds after which a browser comes back to a stream that broke."""
HEARTBEAT = b": still here\n\n"


def log_frame(line: Line) -> bytes:
    """A line of the log: `{"type": "log", "n", "at", "step", "stream", "text"}`, with its number as id."""
    return b'id: %d\ndata: {"type":"log",%s\n\n' % (line.n, line.to_json()[1:])


def left_out_frame(after: int, last: int) -> bytes:
    """Says that the lines from `after + 1` to `last` can't be shown: they were cut, or fell out of memory."""
    count = last - after
    text = f"{count} line{'s are' if count > 1 else ' is'} left out here"
    return _frame({"type": "log", "n": last, "stream": OURS, "text": text, "leftOut": count}, last)


def status_frame(deployment: Deployment, steps: list[Step]) -> bytes:
    """Where a deployment stands, with the steps of its attempts."""
    return _frame(
        {
            "type": "status",
            **_standing(deployment),
            "phase": deployment.phase,
            "attempt": deployment.attempt,
            "steps": [_step(step) for step in steps],
        }
    )


def done_frame(deployment: Deployment) -> bytes:
    """The last frame: nothing follows."""
    return _frame({"type": "done", **_standing(deployment)})


def _standing(deployment: Deployment) -> dict[str, Any]:
    return {
        "deployment": reference(deployment.id),
        "status": deployment.state,
        "reason": deployment.reason,
        "startedAt": _moment(deployment.started_at),
        "finishedAt": _moment(deployment.finished_at),
    }


def _step(step: Step) -> dict[str, Any]:
    return {
        "attempt": step.attempt,
        "name": step.name,
        "status": step.state,
        "command": step.command,
        "exitCode": step.exit_code,
        "success": step.success,
        "startedAt": _moment(step.started_at),
        "finishedAt": _moment(step.finished_at),
    }


def _moment(moment: datetime | None) -> str | None:
    return None if moment is None else stamp(moment)


def _frame(value: dict[str, Any], line: int | None = None) -> bytes:
    data = b"data: " + msgspec.json.encode(value) + b"\n\n"
    return data if line is None else b"id: %d\n" % line + data
