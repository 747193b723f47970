"""`slipway demo`: the whole of Slipway, a real repository, a real signed push, and the site it made."""

import os
import signal
import subprocess
import sys
from collections.abc import Mapping
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from bot.cli.demo import events
from bot.cli.demo.pull import PullAct
from bot.cli.demo.repository import SampleRepository
from bot.cli.demo.stage import Stage, expect
from bot.cli.demo.stand_in import TOKEN, StandIn
from bot.cli.demo.visitor import Visitor
from bot.cli.instance import Instance, open_instance
from bot.clock import utc_now
from bot.console.access import sign_in_link
from bot.domain.deployment import Deployment
from bot.domain.ids import reference
from bot.parent import die_with_parent
from bot.store import apps
from bot.store.apps import NewApp
from bot.store.engine import writing

_SLUG = "demo"


def demo(
    *,
    leave: Annotated[bool, typer.Option("--exit", help="Leave once the site answered.")] = False,
    again: Annotated[bool, typer.Option("--again", help="Push twice, under a steady visitor.")] = False,
    pr: Annotated[bool, typer.Option("--pr", help="Open, change and merge a pull request, too.")] = False,
) -> None:
    """Start everything, push a sample site to it, and show the way from the push to the live site."""
    console = Console(soft_wrap=True, highlight=False)
    instance = open_instance()
    with ExitStack() as stack:
        github = StandIn() if pr else None
        console.print("[bold]Starting Slipway[/] (Valkey, store, web, worker, sweep, edge)")
        process = _launch(instance, github)
        try:
            if github is not None:
                stack.enter_context(github)
            _await_ready(instance, process)
            _run(console, instance, github, again=again)
            end = "Now everything stops." if leave else "Ctrl-C stops everything."
            console.print(f"{end} `slipway up` carries on with what is here.")
            if not leave:
                process.wait()
        except KeyboardInterrupt:
            console.print("Stopping.")
        finally:
            process.send_signal(signal.SIGTERM)
            process.wait(timeout=10)


def _run(console: Console, instance: Instance, github: StandIn | None, *, again: bool) -> None:
    repository = SampleRepository(instance.settings.home / "demo")
    repository.make()
    _register(instance, repository)
    stage = Stage(console, instance, repository)
    hostname = f"{_SLUG}.{instance.settings.preview_domain}"
    site = instance.settings.site_url(hostname)
    newest = _push(stage)
    if again:
        newest = _push_again(stage, hostname)
    if github is not None:
        PullAct(stage, github).play()
    expect(stage.page(hostname).status_code == 200, f"{site} does not answer")
    console.print(f"\n[bold green]{'It' if github else reference(newest.id)} is live.[/]\n")
    console.print(f"  Site     {site}", markup=False)
    console.print(f"  Console  {sign_in_link(instance.settings)}\n", markup=False)


def _push(stage: Stage) -> Deployment:
    before, after = stage.repository.commit()
    stage.console.print(f"\n[bold]Push[/] of commit {after[:7]} to main, delivered as GitHub does it")
    return stage.deployed(stage.deliver("push", events.push(before, after)))


def _push_again(stage: Stage, hostname: str) -> Deployment:
    visitor = Visitor(stage.instance.settings.edge_url, hostname)
    with visitor:
        stage.repository.change("It is live.", "It is live, again.")
        newest = _push(stage)
    stage.console.print(
        f"\nA visitor asked {visitor.requests} times during the second push: {visitor.failed} failed, "
        f"{len(visitor.seen)} different whole pages were seen."
    )
    expect(visitor.failed == 0, f"{visitor.failed} requests failed during the push")
    return newest


def _launch(instance: Instance, github: StandIn | None) -> subprocess.Popen[str]:
    """Start `slipway up`. This process may have no other thread yet."""
    with _log_of(instance).open("w") as errors:
        # Its own session: Ctrl-C is ours, and it is stopped by us; or by the kernel, when we are killed.
        return subprocess.Popen(
            [sys.executable, "-m", "bot.cli.main", "up", "--json"],
            env=_environment(github),
            stdout=subprocess.PIPE,
            stderr=errors,
            text=True,
            start_new_session=True,
            preexec_fn=partial(die_with_parent, os.getpid()),  # noqa: PLW1509  there is one thread
        )


def _await_ready(instance: Instance, process: subprocess.Popen[str]) -> None:
    assert process.stdout is not None
    if not process.stdout.readline():
        code = process.wait()
        sys.stderr.write(_log_of(instance).read_text())
        raise typer.Exit(code)


def _log_of(instance: Instance) -> Path:
    log = instance.settings.home / "logs" / "up.log"
    log.parent.mkdir(parents=True, exist_ok=True)
    return log


def _environment(github: StandIn | None) -> Mapping[str, str]:
    """The instance's settings; with the stand-in, none of a real GitHub's, which is not told of a demo."""
    if github is None:
        return os.environ
    kept = {name: value for name, value in os.environ.items() if not name.startswith("SLIPWAY_GITHUB_")}
    secret = {name: os.environ[name] for name in ("SLIPWAY_GITHUB_WEBHOOK_SECRET",) if name in os.environ}
    return {**kept, **secret, "SLIPWAY_GITHUB_API_URL": github.url, "SLIPWAY_GITHUB_TOKEN": TOKEN}


def _register(instance: Instance, repository: SampleRepository) -> None:
    with writing(instance.engine) as tx:
        if apps.by_slug(tx, _SLUG) is None:
            apps.insert(tx, NewApp(_SLUG, events.REPOSITORY, repository.bare.as_uri(), "main"), utc_now())
