"""`slipway demo`: the whole of Slipway, a real repository, a real signed push, and the site it made."""

import json
import os
import signal
import subprocess
import sys
import time
import uuid
from collections.abc import Callable
from typing import Annotated, Any, TypeVar

import httpx
import typer
from rich.console import Console

from bot import signature
from bot.cli.instance import Instance, open_instance
from bot.cli.sample import SampleRepository, Visitor, site_client
from bot.clock import utc_now
from bot.console.access import sign_in_link
from bot.domain.deployment import Deployment, State
from bot.domain.ids import DeploymentId, reference
from bot.errors import ErrorCode, PlatformError
from bot.keys import webhook_secrets
from bot.logs import LogReader
from bot.queue import connect
from bot.store import apps, deliveries, deployments
from bot.store.apps import NewApp
from bot.store.engine import reading, writing

T = TypeVar("T")

_SLUG = "demo"
_REPOSITORY = "demo/site"
_REPOSITORY_ID = 1
_DEPLOY_SECONDS = 120.0


def demo(
    *,
    leave: Annotated[bool, typer.Option("--exit", help="Leave once the site answered.")] = False,
    again: Annotated[bool, typer.Option("--again", help="Push twice, under a steady visitor.")] = False,
) -> None:
    """Start everything, push a sample site to it, and show the way from the push to the live site."""
    console = Console(soft_wrap=True, highlight=False)
    instance = open_instance()
    console.print("[bold]Starting Slipway[/] (Valkey, store, web, worker, sweep, edge)")
    process = _start(instance)
    try:
        _run(console, instance, again=again)
        if not leave:
            console.print("Ctrl-C stops everything. `slipway up` carries on with what is here.")
            process.wait()
    except KeyboardInterrupt:
        console.print("Stopping.")
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(timeout=10)


def _run(console: Console, instance: Instance, *, again: bool) -> None:
    repository = SampleRepository(instance.settings.home / "demo")
    repository.make()
    _register(instance, repository)
    first = _push(console, instance, repository)
    site = instance.settings.site_url(f"{_SLUG}.{instance.settings.preview_domain}")
    if again:
        _push_again(console, instance, repository)
    _expect(_get(instance, "/").status_code == 200, f"{site} does not answer")
    console.print(f"\n[bold green]{reference(first.id)} is live.[/]\n")
    console.print(f"  Site     {site}", markup=False)
    console.print(f"  Console  {sign_in_link(instance.settings)}\n", markup=False)


def _push(console: Console, instance: Instance, repository: SampleRepository) -> Deployment:
    before, after = repository.commit()
    console.print(f"\n[bold]Push[/] of commit {after[:7]} to main, delivered as GitHub does it")
    guid = _deliver(instance, before, after)
    deployment = _deployment_of(instance, guid)
    console.print(f"[bold]{reference(deployment.id)}[/] {deployment.reason}")
    reader = LogReader(instance.settings.home, connect(instance.settings.redis))
    for line in reader.follow(deployment.id, ended=lambda: _final(instance, deployment) is not None):
        console.print(f"  {line.step:<9} {line.text}", markup=False)
    ended = _wait(lambda: _final(instance, deployment), f"{reference(deployment.id)} to end")
    _expect(
        ended.state is State.SUCCEEDED, f"{reference(deployment.id)} ended as {ended.state}: {ended.reason}"
    )
    return ended


def _push_again(console: Console, instance: Instance, repository: SampleRepository) -> None:
    visitor = Visitor(*_edge(instance))
    with visitor:
        repository.change()
        _push(console, instance, repository)
    bodies = len(visitor.seen)
    console.print(
        f"\nA visitor asked {visitor.requests} times during the second push: {visitor.failed} failed, "
        f"{bodies} different whole pages were seen."
    )
    _expect(visitor.failed == 0, f"{visitor.failed} requests failed during the push")


def _start(instance: Instance) -> subprocess.Popen[str]:
    log = instance.settings.home / "logs" / "up.log"
    log.parent.mkdir(parents=True, exist_ok=True)
    command = [sys.executable, "-m", "bot.cli.main", "up", "--json"]
    with log.open("w") as errors:
        # Its own session: Ctrl-C is ours, and it is stopped by us.
        process = subprocess.Popen(
            command, env=os.environ, stdout=subprocess.PIPE, stderr=errors, text=True, start_new_session=True
        )
    assert process.stdout is not None
    line = process.stdout.readline()
    if not line:
        code = process.wait()
        sys.stderr.write(log.read_text())
        raise typer.Exit(code)
    return process


def _register(instance: Instance, repository: SampleRepository) -> None:
    with writing(instance.engine) as tx:
        if apps.by_slug(tx, _SLUG) is None:
            apps.insert(tx, NewApp(_SLUG, _REPOSITORY, repository.bare.as_uri(), "main"), utc_now())


def _deliver(instance: Instance, before: str, after: str) -> str:
    guid = str(uuid.uuid4())
    body = json.dumps(_push_payload(before, after)).encode()
    answer = httpx.post(
        f"{instance.settings.web_url}/webhooks/github",
        content=body,
        headers={
            "Content-Type": "application/json",
            "X-GitHub-Event": "push",
            "X-GitHub-Delivery": guid,
            "X-GitHub-Hook-ID": "1",
            "X-Hub-Signature-256": signature.sign(body, webhook_secrets(instance.settings)[0]).decode(),
        },
        timeout=10,
        trust_env=False,
    )
    _expect(answer.status_code == 202, f"the webhook answered {answer.status_code}: {answer.text}")
    return guid


def _push_payload(before: str, after: str) -> dict[str, Any]:
    return {
        "ref": "refs/heads/main",
        "before": before,
        "after": after,
        "created": set(before) == {"0"},
        "deleted": False,
        "forced": False,
        "head_commit": {"id": after, "message": "Say that it is live", "author": {"name": "Slipway demo"}},
        "commits": [],
        "pusher": {"name": "demo"},
        "repository": {
            "id": _REPOSITORY_ID,
            "full_name": _REPOSITORY,
            "default_branch": "main",
            "private": False,
        },
    }


def _deployment_of(instance: Instance, guid: str) -> Deployment:
    def found() -> Deployment | None:
        with reading(instance.engine) as tx:
            # By the decision: the sweep may have found the commit first, and then this delivery adds nothing.
            pushes = deliveries.by_guid(tx, guid)
            decided = [one for push in pushes for one in deliveries.decisions_of(tx, push.id)]
            made = [number for one in decided for number in one.facts.get("deployments", [])]
            return deployments.find(tx, DeploymentId(made[0])) if made else None

    return _wait(found, "the delivery to become a deployment")


def _final(instance: Instance, deployment: Deployment) -> Deployment | None:
    with reading(instance.engine) as tx:
        found = deployments.get(tx, deployment.id)
    return found if found.state.is_final else None


def _edge(instance: Instance) -> tuple[str, str]:
    hostname = f"{_SLUG}.{instance.settings.preview_domain}"
    return instance.settings.edge_url, hostname


def _get(instance: Instance, path: str) -> httpx.Response:
    with site_client(*_edge(instance)) as client:
        return client.get(path)


def _wait(probe: Callable[[], T | None], what: str) -> T:
    deadline = time.monotonic() + _DEPLOY_SECONDS
    while (found := probe()) is None:
        _expect(time.monotonic() < deadline, f"waited in vain for {what}")
        time.sleep(0.05)
    return found


def _expect(truth: bool, reason: str) -> None:
    if not truth:
        raise PlatformError(ErrorCode.START_REFUSED, reason=reason)
