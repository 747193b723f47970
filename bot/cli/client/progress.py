"""How a deployment in progress is shown: alive on a terminal, as plain lines in a pipe."""

import sys
import time
from datetime import datetime
from typing import Any, Protocol, Self

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.spinner import Spinner
from rich.table import Table
from rich.text import Text

Row = dict[str, Any]
_MARKS = {"succeeded": ("✔", "green"), "failed": ("✘", "red"), "skipped": ("–", "dim")}
_SHOWN_LINES = 4


class Display(Protocol):
    """Where progress is shown."""

    def __enter__(self) -> Self: ...
    def __exit__(self, *_: object) -> None: ...

    def stand(self, status: Row) -> None:
        """Show a `status` event."""

    def line(self, line: Row) -> None:
        """Show a `log` event."""

    def turn(self, queue: Row) -> None:
        """Show a place in the queue."""


def took(step: Row, now: float | None = None) -> float:
    """Seconds that a step or a deployment took, until now while it runs; 0 before its start."""
    if step["startedAt"] is None:
        return 0.0
    end = step["finishedAt"]
    until = datetime.fromisoformat(end).timestamp() if end is not None else now or time.time()
    return max(0.0, until - datetime.fromisoformat(step["startedAt"]).timestamp())


def waiting_text(queue: Row) -> str:
    """A place in the queue, in words."""
    seconds = queue["estimatedStartSeconds"]
    return f"number {queue['position']} in the queue, begins in about {seconds} s"


class Plain:
    """Each change is one line, for pipes and logs of CI."""

    def __init__(self, *, has_lines: bool) -> None:
        self._has_lines = has_lines
        self._state = ""
        self._turn: Row | None = None
        self._told: set[tuple[int, str]] = set()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        """Nothing is left to show."""

    def stand(self, status: Row) -> None:
        """Say what changed."""
        if status["status"] != self._state and status["status"] in ("queued", "held", "cancelling"):
            _say(f"{status['deployment']} {status['status']}: {status['reason']}")
        self._state = status["status"]
        for step in status.get("steps", ()):
            which = (step["attempt"], step["name"])
            if step["finishedAt"] is not None and which not in self._told:
                self._told.add(which)
                command = f"  {step['command']}" if step["command"] else ""
                _say(f"  {step['name']:<9} {step['status']:<9} {took(step):6.1f} s{command}")

    def line(self, line: Row) -> None:
        """Print a line of the log, where lines are wanted."""
        if self._has_lines:
            _say(log_text(line))

    def turn(self, queue: Row) -> None:
        """Say it when the place changed."""
        if self._turn is None or queue["position"] != self._turn["position"]:
            _say(f"  waits as {waiting_text(queue)}")
        self._turn = queue


class Silent:
    """Shows nothing: what is printed is JSON alone."""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        """Nothing is left to show."""

    def stand(self, status: Row) -> None:
        """Nothing."""

    def line(self, line: Row) -> None:
        """Nothing."""

    def turn(self, queue: Row) -> None:
        """Nothing."""


class Alive:
    """A picture that is drawn anew while time passes: steps, their times, the last lines of the log."""

    def __init__(self, *, has_lines: bool) -> None:
        self._has_lines = has_lines
        self._status: Row = {"status": "queued", "reason": "", "steps": []}
        self._lines: list[Row] = []
        self._turn: Row | None = None
        self._spinner = Spinner("dots", style="cyan")
        self._console = Console(highlight=False)
        self._live = Live(console=self._console, get_renderable=self._picture, refresh_per_second=10)

    def __enter__(self) -> Self:
        self._live.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._lines, self._turn = [], None
        self._live.stop()

    def stand(self, status: Row) -> None:
        """Draw it so from now on."""
        self._status = {**self._status, **status}

    def line(self, line: Row) -> None:
        """Print it above the picture where lines are wanted, else show it as the newest."""
        if self._has_lines:
            self._live.console.print(Text(log_text(line)), soft_wrap=True)
        else:
            self._lines = [*self._lines, line][-_SHOWN_LINES:]

    def turn(self, queue: Row) -> None:
        """Show it while it waits."""
        self._turn = queue

    def _picture(self) -> RenderableType:
        parts: list[RenderableType] = []
        state = self._status["status"]
        if state in ("queued", "held"):
            text = self._status["reason"] if self._turn is None else waiting_text(self._turn)
            parts.append(_row(self._spinner, Text(f"{state}  {text}")))
        steps = self._status["steps"]
        newest = max((step["attempt"] for step in steps), default=1)
        parts += [self._step(step) for step in steps if step["attempt"] == newest]
        if state == "cancelling":
            parts.append(_row(self._spinner, Text("cancelling")))
        width = max(20, self._console.width - 6)
        parts += [
            Text(f"    {_clean(one['text'])[:width]}", style="dim", no_wrap=True) for one in self._lines
        ]
        return Group(*parts)

    def _step(self, step: Row) -> RenderableType:
        seconds = f"{took(step):6.1f} s"
        command = f"  {step['command'].splitlines()[0]}" if step["command"] else ""
        text = Text.assemble(f"{step['name']:<9}", (seconds, "bold"), (command, "dim"))
        text.no_wrap, text.overflow = True, "ellipsis"
        if step["finishedAt"] is None:
            return _row(self._spinner, text)
        mark, style = _MARKS.get(step["status"], ("•", "yellow"))
        return _row(Text(mark, style=style), text)


def log_text(line: Row) -> str:
    """A line of a log as it is printed."""
    return f"{line['n']:>5}  {line.get('step', ''):<9} {line['text']}"


def display(*, has_lines: bool, as_json: bool) -> Display:
    """How progress is best shown where standard output goes."""
    if as_json:
        return Silent()
    return Alive(has_lines=has_lines) if sys.stdout.isatty() else Plain(has_lines=has_lines)


def _row(mark: RenderableType, text: Text) -> RenderableType:
    table = Table.grid(padding=(0, 1))
    table.add_row(mark, text)
    return table


def _clean(text: str) -> str:
    """Without what would move a terminal's cursor."""
    return "".join(letter if letter.isprintable() else " " for letter in text)


def _say(text: str) -> None:
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()
