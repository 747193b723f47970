"""`slipway doctor`: looks at each part, and says what to do about what is not well."""

import json
import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Annotated

import httpx
import typer
from rich.console import Console

from bot import embedded
from bot.cli.disk import show_disk
from bot.clock import utc_now
from bot.settings import Settings
from bot.store import deliveries, deployments
from bot.store.engine import StoreError, open_engine, reading

_OLDEST_GIT = (2, 30)
_START = "Start it with 'slipway up'."


@dataclass(frozen=True)
class Finding:
    """What a look at one part showed. `level`: `ok`, `warning` or `error`; `advice` says what to do."""

    part: str
    level: str
    text: str
    advice: str = ""


def doctor(
    *,
    disk: Annotated[bool, typer.Option("--disk", help="Show what is kept, and what it takes.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Check each part of this instance. Exit code 1 when something is wrong."""
    settings = Settings()
    if disk:
        show_disk(settings, as_json=as_json)
        return
    looks: list[Callable[[Settings], Finding]] = [_git, _home, _store, _redis, _web, _edge, _github, _backlog]
    findings = [look(settings) for look in looks] + _worker_findings()
    if as_json:
        sys.stdout.write(json.dumps([asdict(finding) for finding in findings]) + "\n")
    else:
        _print(findings)
    if any(finding.level == "error" for finding in findings):
        raise typer.Exit(1)


def _print(findings: list[Finding]) -> None:
    console = Console(soft_wrap=True, highlight=False)
    marks = {"ok": "[green]ok     [/]", "warning": "[yellow]warning[/]", "error": "[red]error  [/]"}
    for finding in findings:
        console.print(f"{marks[finding.level]} {finding.part:<9}", end=" ")
        console.print(finding.text, markup=False)
        if finding.advice:
            console.print(f"{'':<18}{finding.advice}", markup=False)


def _git(_settings: Settings) -> Finding:
    binary = shutil.which("git")
    if binary is None:
        return Finding(
            "git", "error", "git was not found.", "Install it: apt-get install git, or brew install git."
        )
    shown = subprocess.run([binary, "--version"], capture_output=True, text=True, check=True).stdout.split()[
        2
    ]
    version = tuple(int(part) for part in shown.split(".")[:2])
    if version < _OLDEST_GIT:
        return Finding("git", "error", f"git {shown} is too old.", "Install git 2.30 or newer.")
    return Finding("git", "ok", f"git {shown}")


def _home(settings: Settings) -> Finding:
    probe = settings.home / ".writable"
    try:
        settings.home.mkdir(parents=True, exist_ok=True)
        probe.write_bytes(b"")
        probe.unlink()
    except OSError as error:
        return Finding(
            "home", "error", f"{settings.home}: {error.strerror}.", "Make it writable, or set SLIPWAY_HOME."
        )
    free = shutil.disk_usage(settings.home).free // 1024**2
    if free < 1024:
        return Finding(
            "home", "warning", f"{settings.home} has {free} MiB left.", "Free some space: builds need it."
        )
    return Finding("home", "ok", f"{settings.home}, {free // 1024} GiB free")


def _store(settings: Settings) -> Finding:
    engine = open_engine(settings.database)
    try:
        with reading(engine) as tx:
            latest = deployments.latest(tx, 1)
    except StoreError as error:
        reason = str(error).splitlines()[0]
        return Finding("store", "error", reason, "Run 'slipway migrate'; check SLIPWAY_DATABASE_URL.")
    newest = f"newest deployment DEP-{latest[0].id}" if latest else "no deployment yet"
    return Finding("store", "ok", f"{engine.url.render_as_string(hide_password=True)}, {newest}")


def _redis(settings: Settings) -> Finding:
    if embedded.is_answering(settings):
        return Finding("queue", "ok", "Valkey answers")
    advice = _START if settings.redis_url is None else "Check SLIPWAY_REDIS_URL."
    return Finding("queue", "error", "Valkey does not answer.", advice)


def _web(settings: Settings) -> Finding:
    try:
        answer = httpx.get(f"{settings.web_url}/ready", timeout=5, trust_env=False)
    except httpx.HTTPError:
        return Finding(
            "web", "error", f"Nothing answers at {settings.web_address}.", "Start it with 'slipway up'."
        )
    level = "ok" if answer.status_code == 200 else "error"
    return Finding("web", level, f"{settings.web_address} answers {answer.status_code}")


def _edge(settings: Settings) -> Finding:
    try:
        httpx.get(settings.edge_url, timeout=5, trust_env=False, verify=False)  # noqa: S501  whether it answers, not to whom
    except httpx.HTTPError:
        return Finding(
            "edge", "error", f"Nothing answers at {settings.edge_address}.", "Start it: 'slipway up'."
        )
    return Finding("edge", "ok", f"Caddy answers at {settings.edge_address}")


def _github(settings: Settings) -> Finding:
    if settings.github_app_id is not None:
        return Finding("github", "ok", f"GitHub App {settings.github_app_id}")
    if settings.github_token is not None:
        return Finding("github", "ok", "a token")
    advice = "Set SLIPWAY_GITHUB_TOKEN or a GitHub App, so that commits get their statuses."
    return Finding("github", "warning", "No GitHub App and no token: nothing is told to GitHub.", advice)


def _backlog(settings: Settings) -> Finding:
    try:
        with reading(open_engine(settings.database)) as tx:
            undecided = len(deliveries.undecided(tx, utc_now(), 1000))
            owed = len(deployments.owed(tx, 1000))
    except StoreError:
        return Finding("backlog", "error", "The store can't be read.", "See 'store' above.")
    text = f"{undecided} deliveries wait for a decision, GitHub is owed {owed} updates"
    return Finding("backlog", "ok" if undecided + owed < 100 else "warning", text)


def _worker_findings() -> list[Finding]:
    # What only the worker knows is asked of its own package, in a process of its own.
    command = [sys.executable, "-m", "jobs.doctor"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        reason = (done.stderr.strip().splitlines() or ["no reason given"])[-1]
        return [Finding("worker", "error", f"The worker's parts can't be looked at: {reason}")]
    return [Finding(**found) for found in json.loads(done.stdout)]
