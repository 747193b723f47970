"""Commands that go on as a program of their own: one process of Slipway's, as in the Procfile."""

import os
import sys


def web() -> None:
    """Run the web process: webhook, console, API."""
    become("bot.web")


def worker() -> None:
    """Run the worker: decides, builds, publishes, tells GitHub."""
    become("jobs.worker")


def sweep() -> None:
    """Run the sweep: heals what crashes and outages left."""
    become("jobs.sweep")


def edge() -> None:
    """Run the edge: serves the sites."""
    become("jobs.edge")


def become(module: str, *words: str) -> None:
    """Go on as another program of ours, such as one of `jobs`, which commands can't import."""
    # The same process id: a service manager's signals reach the process itself.
    os.execv(sys.executable, [sys.executable, "-m", module, *words])  # noqa: S606  there is no shell to start
