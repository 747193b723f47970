"""`slipway doctor`: looks at each part, and says what to do about what is not well."""

import json
import shutil
import subprocess
import sys
from collections.abc import Callable
from contextlib import suppress
from dataclasses import asdict, dataclass
from email.utils import parsedate_to_datetime
from typing import Annotated

import httpx
import typer
from rich.console import Console

from bot import embedded, github_app, render, troubles
from bot.cli.disk import show_disk
from bot.clock import utc_now
from bot.github.wire import API_VERSION
from bot.settings import Settings
from bot.store import deliveries, deployments, drift
from bot.store.engine import StoreError, open_engine, reading, writing
from bot.store.migrate import is_current
from bot.wording import ago

_OLDEST_GIT = (2, 30)
_NEEDED_MIB, _FULL_MIB = 1024, 16
_STORE_SECONDS = 3.0
_GITHUB_SECONDS = 4.0
_CLOCK_SECONDS = 60
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
        probe.write_bytes(bytes(4096))
        probe.unlink()
    except OSError as error:
        fault = troubles.named(error)
        advice = render.message(fault.code, fault.facts).partition("\n\n")[2] if fault else ""
        with suppress(OSError):
            probe.unlink(missing_ok=True)
        return Finding(
            "home",
            "error",
            f"{settings.home}: {error.strerror}.",
            advice or "Make it writable, or set SLIPWAY_HOME.",
        )
    free = shutil.disk_usage(settings.home).free // 1024**2
    if free < _NEEDED_MIB:
        level, text = ("error" if free < _FULL_MIB else "warning"), f"{settings.home} has {free} MiB left."
        return Finding("home", level, text, "Free some space: builds need it.")
    return Finding("home", "ok", f"{settings.home}, {free // 1024} GiB free")


def _store(settings: Settings) -> Finding:
    engine = open_engine(settings.database, busy_seconds=_STORE_SECONDS)
    try:
        with writing(engine) as tx:
            if not is_current(tx):
                text, advice = (
                    "The store does not have this version's tables yet.",
                    "'slipway up' makes them.",
                )
                return Finding("store", "error", text, f"{advice} So does 'slipway migrate'.")
            latest = deployments.latest(tx, 1)
    except StoreError as error:
        return _store_trouble(error)
    newest = f"newest deployment DEP-{latest[0].id}" if latest else "no deployment yet"
    return Finding("store", "ok", f"{engine.url.render_as_string(hide_password=True)}, {newest}")


def _store_trouble(error: StoreError) -> Finding:
    fault = troubles.named(error)
    if fault is None:
        reason = str(error).splitlines()[0]
        return Finding("store", "error", reason, "Run 'slipway migrate'; check SLIPWAY_DATABASE_URL.")
    text, _, advice = render.message(fault.code, fault.facts).partition("\n\n")
    return Finding("store", "error", text, advice)


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
    if answer.status_code == 200:
        return Finding("web", "ok", f"{settings.web_address} answers 200")
    parts = _parts(answer)
    files = "Raise the limit of open files: 'ulimit -n', or LimitNOFILE= in a systemd unit."
    advice = files if "files" in parts else "See the other lines."
    said = "; ".join(f"{part}: {state}" for part, state in parts.items())
    return Finding("web", "error", f"{settings.web_address} answers {answer.status_code} ({said})", advice)


def _parts(answer: httpx.Response) -> dict[str, str]:
    try:
        return {part: state for part, state in answer.json()["parts"].items() if state != "ok"}
    except (ValueError, KeyError):
        return {}


def _edge(settings: Settings) -> Finding:
    try:
        httpx.get(settings.edge_url, timeout=5, trust_env=False, verify=False)  # noqa: S501  whether it answers, not to whom
    except httpx.HTTPError:
        return Finding(
            "edge", "error", f"Nothing answers at {settings.edge_address}.", "Start it: 'slipway up'."
        )
    return Finding("edge", "ok", f"Caddy answers at {settings.edge_address}")


def _github(settings: Settings) -> Finding:
    if settings.github_app_id is not None or settings.github_token is not None:
        app = settings.github_app_id
        way = f"GitHub App {app}" if app is not None else "a token"
        return _github_answers(settings, way + _compared(settings))
    made = _made_app(settings)
    if made is not None:
        way = f"GitHub App {made.slug}, made here ({made.page})"
        return _github_answers(settings, way + _compared(settings))
    advice = "Make a GitHub App with 'slipway github setup', so that commits get their statuses."
    return Finding("github", "warning", "No GitHub App and no token: nothing is told to GitHub.", advice)


def _made_app(settings: Settings) -> github_app.Shown | None:
    try:
        with reading(open_engine(settings.database)) as tx:
            return github_app.shown(tx, settings)
    except StoreError:
        return None


def _compared(settings: Settings) -> str:
    """When what GitHub shows was last compared with what is true, and what came of it."""
    try:
        with reading(open_engine(settings.database)) as tx:
            last = drift.last(tx)
    except StoreError:
        return ""
    if last.compared_at is None:
        return "; what it shows was not compared yet"
    text = f"; what it shows was compared {ago(last.compared_at, utc_now())}: "
    text += f"{last.looked} deployments, {last.repaired} put right"
    return f"{text}, and not to the end: {last.note.rstrip('.')}" if last.note else text


def _github_answers(settings: Settings, way: str) -> Finding:
    try:
        headers = {"X-GitHub-Api-Version": API_VERSION, "User-Agent": "slipway"}
        answer = httpx.get(settings.github_api_url, headers=headers, timeout=_GITHUB_SECONDS)
        theirs = parsedate_to_datetime(answer.headers["Date"])
    except httpx.HTTPError as error:
        text = f"{way}, but {settings.github_api_url} does not answer: {type(error).__name__}"
        advice = "Look at this machine's network and name server. What it is owed is sent later."
        return Finding("github", "warning", text, advice)
    except (KeyError, ValueError):
        return Finding("github", "ok", way)
    ahead = round((utc_now() - theirs).total_seconds())
    if abs(ahead) < _CLOCK_SECONDS:
        return Finding("github", "ok", f"{way}; the clock agrees with GitHub's")
    difference = f"{abs(ahead)} s {'ahead of' if ahead > 0 else 'behind'}"
    text = f"{way}, but this machine's clock is {difference} GitHub's"
    advice = "Set the clock, as by 'timedatectl set-ntp true': GitHub refuses an App whose clock is wrong."
    return Finding("github", "warning", text, advice)


def _backlog(settings: Settings) -> Finding:
    try:
        with reading(open_engine(settings.database, busy_seconds=_STORE_SECONDS)) as tx:
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
