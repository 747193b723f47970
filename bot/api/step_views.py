"""The steps of a deployment, with what each of them said where that is asked for."""

from collections.abc import Sequence
from datetime import datetime, timedelta

from bot.api.deployment_views import StepView
from bot.api.operation import Call
from bot.domain.deployment import Phase
from bot.logs.line import Line
from bot.store.steps import Step

_LINES = 2000
_CHARACTERS = 64 * 1024
# Lines tell milliseconds.
_GRAIN = timedelta(milliseconds=1)


def step_views(call: Call, steps: Sequence[Step], *, has_log: bool) -> list[StepView]:
    """Steps as answers show them; `has_log`: with the end of the log, parted among them."""
    said = _parted(call, steps) if has_log else {}
    return [
        StepView(
            name=Phase(step.name),
            attempt=step.attempt,
            status=step.state,
            command=step.command,
            exit_code=step.exit_code,
            log=said.get(place, "") if has_log else None,
            success=step.success,
            started_at=step.started_at,
            finished_at=step.finished_at,
        )
        for place, step in enumerate(steps)
    ]


def _parted(call: Call, steps: Sequence[Step]) -> dict[int, str]:
    lines: dict[int, list[str]] = {}
    for line in call.services.logs.tail(call.of_deployment.deployment.id, _LINES):
        place = _place(steps, line)
        if place is not None:
            lines.setdefault(place, []).append(f"{line.text}\n")
    return {place: "".join(texts)[-_CHARACTERS:] for place, texts in lines.items()}


def _place(steps: Sequence[Step], line: Line) -> int | None:
    """Which attempt of a step a line is of: the last one that had begun by then."""
    same = [place for place, step in enumerate(steps) if step.name == line.step]
    at = datetime.fromisoformat(line.at) + _GRAIN
    begun = [place for place in same if steps[place].started_at < at]
    return begun[-1] if begun else next(iter(same), None)
