"""Gets back what was lost on the way from GitHub: deliveries that failed, and pushes never heard of.

GitHub never repeats a failed delivery by itself and keeps it for three days
(docs.github.com/webhooks/using-webhooks/handling-failed-webhook-deliveries).
"""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import msgspec

from bot.clock import Clock, utc_now
from bot.domain.app import App
from bot.domain.deployment import Commit
from bot.domain.environment import Environment, EnvironmentKind
from bot.domain.ids import DeliveryId
from bot.github.client import GitHub, HookDelivery
from bot.github.errors import GitHubError, RejectedError
from bot.lifecycle import Lifecycle
from bot.log import logger
from bot.queue import Queue
from bot.store import deliveries, deployments, environments, gaps
from bot.store.deliveries import NO_REPOSITORY_ID, RECONCILE, NewDelivery
from bot.store.engine import Tx, reading, writing
from bot.store.gaps import Open, Recovered, last_check

KEPT = timedelta(days=3)
"""How long GitHub keeps a delivery for redelivery."""
OVERLAP = timedelta(hours=1)
"""How far before the last check is looked again: attempts may be listed late and out of order."""
MAX_TIMES = 5
"""How often one delivery is asked for."""

NO_COMMIT = "0" * 40

_FIRST_PAUSE = timedelta(minutes=5)

Head = Callable[[App, str], Commit | None]
"""The head of a branch, None when there is no such branch; raises what it likes when it can't tell."""


@dataclass(frozen=True)
class Recovery:
    """What recovery needs.

    One run lists so many `pages` of 100 deliveries, and the next goes on where it stopped; it asks for
    so many `redeliveries`.
    """

    lifecycle: Lifecycle
    github: GitHub
    clock: Clock = utc_now
    pages: int = 20
    redeliveries: int = 50


def recover_deliveries(tools: Recovery) -> Recovered:
    """Ask GitHub to redeliver what failed and is not in the ledger. Bounded work; raises nothing of GitHub's.

    To be called at start and every five minutes, by one process. Without an App there is nothing to ask:
    a token can't list deliveries.
    """
    with reading(tools.lifecycle.engine) as tx:
        known = last_check(tx)
    if not tools.github.session.has_app:
        return known
    try:
        _look(tools, known)
        _ask_again(tools, known)
        known.note = ""
    except GitHubError as error:
        known.note = str(error)
        logger.warning("deliveries were not checked to the end", why=known.note)
    known.gaps = len(known.open)
    with writing(tools.lifecycle.engine) as tx:
        gaps.keep(tx, known)
    return known


def _look(tools: Recovery, known: Recovered) -> None:
    now = tools.clock()
    oldest = now - KEPT
    since = max(oldest, known.checked_at - OVERLAP) if known.checked_at else oldest
    listed, rest = _list(tools.github, None, since, tools.pages)
    pages_left = tools.pages - (len(listed) + 99) // 100
    if rest is None and known.resume is not None and pages_left > 0:
        older, rest = _list(tools.github, known.resume, oldest, pages_left)
        listed += older
    succeeded = {one.guid for one in listed if one.status == "OK"}
    for one in listed:
        if one.guid not in succeeded and one.guid not in known.open:
            known.open[one.guid] = Open(one.id, one.delivered_at, event=one.event)
    with reading(tools.lifecycle.engine) as tx:
        closed = succeeded | deliveries.known_guids(tx, list(known.open))
    known.open = {
        guid: one for guid, one in known.open.items() if guid not in closed and one.delivered_at > oldest
    }
    known.resume = rest
    known.checked_at = now


def _list(
    github: GitHub, cursor: str | None, since: datetime, pages: int
) -> tuple[list[HookDelivery], str | None]:
    """Deliveries since a moment, newest first, and the cursor to go on from when the pages did not do."""
    listed: list[HookDelivery] = []
    for _ in range(pages):
        page, cursor = github.hook_deliveries(cursor)
        listed += [one for one in page if one.delivered_at >= since]
        if cursor is None or (page and page[-1].delivered_at < since):
            return listed, None
    return listed, cursor


def _ask_again(tools: Recovery, known: Recovered) -> None:
    now = tools.clock()
    due = [
        (guid, one)
        for guid, one in known.open.items()
        if one.times < MAX_TIMES and (one.again_at is None or one.again_at <= now)
    ]
    # Those never asked for first; then the oldest, so that they arrive in the order in which they happened.
    for guid, one in sorted(due, key=lambda pair: (pair[1].times, pair[1].delivered_at))[
        : tools.redeliveries
    ]:
        one.times += 1
        one.again_at = now + _FIRST_PAUSE * 2 ** (one.times - 1)
        try:
            tools.github.redeliver(one.attempt)
        except RejectedError as error:
            logger.warning("GitHub does not deliver again", guid=guid, why=str(error))
        else:
            logger.info("asked GitHub to deliver again", guid=guid, times=one.times)


def reconcile_heads(tools: Recovery, queue: Queue, apps: list[App], head: Head) -> int:
    """Append a synthetic push for each branch whose head was never deployed; how many those are.

    Only where automatic deploys happen, and of an app that never had any deployment the production branch:
    its first push may be the one that was lost. Intake decides about the push as about any other, so a
    commit that is to be skipped needs its message from `head`. Each head is brought up once, and once more
    when the branch is put back to it.
    """
    with reading(tools.lifecycle.engine) as tx:
        found = [one for app in apps if app.enabled for one in _followed(tx, app)]
    missed: list[NewDelivery] = []
    for one in found:
        commit = _head_of(one.app, one.branch, head)
        if commit is not None:
            with reading(tools.lifecycle.engine) as tx:
                if _is_new(tx, one, commit) or _is_back(tx, one, commit):
                    missed.append(_synthetic(tx, one, commit, now=tools.clock()))
    return len(_append(tools, queue, missed))


@dataclass(frozen=True)
class _Followed:
    """A branch that is deployed by itself, and where; nowhere yet for an app without any deployment."""

    app: App
    branch: str
    environment: Environment | None


def _followed(tx: Tx, app: App) -> list[_Followed]:
    known = environments.of_apps(tx, [app.id])
    if not known:
        return [_Followed(app, app.production_branch, None)]
    return [_Followed(app, one.branch, one) for one in known if one.branch and _is_followed(tx, one)]


def _is_new(tx: Tx, one: _Followed, commit: Commit) -> bool:
    if one.environment is None:
        return not environments.of_apps(tx, [one.app.id])
    return deployments.newest_of_commit(tx, one.environment.id, commit.sha) is None


def _is_back(tx: Tx, one: _Followed, commit: Commit) -> bool:
    """Whether a branch was put back to a commit that had been deployed before another one."""
    if one.environment is None:
        return False
    newest = deployments.newest_of_branch(tx, one.environment.id)
    # What a rollback stopped waits for somebody to resume.
    stopped = deployments.head_of_branch(tx, one.environment.id, one.branch)
    is_head = commit.sha in [found.sha for found in (newest, stopped) if found is not None]
    return newest is not None and newest.trigger.is_automatic and not is_head


def _is_followed(tx: Tx, environment: Environment) -> bool:
    return environment.kind is not EnvironmentKind.PREVIEW and deployments.was_automatic(tx, environment.id)


def _head_of(app: App, branch: str, head: Head) -> Commit | None:
    try:
        return head(app, branch)
    except Exception as error:  # noqa: BLE001  # one unreachable repository must not hide the others
        logger.warning("a branch's head could not be read", app=app.slug, branch=branch, why=str(error))
        return None


def _append(tools: Recovery, queue: Queue, missed: list[NewDelivery]) -> list[DeliveryId]:
    if not missed:
        return []
    with writing(tools.lifecycle.engine) as tx:
        added = list(deliveries.insert_new(tx, missed).values())
    for one in missed:
        logger.info("a push was never delivered to us", guid=one.guid)
    queue.intake(added)
    return added


def _synthetic(tx: Tx, one: _Followed, commit: Commit, *, now: datetime) -> NewDelivery:
    newest = deployments.newest_of_branch(tx, one.environment.id) if one.environment else None
    place = f"{one.environment.id}" if one.environment else f"first-{one.app.id}"
    if newest is not None and not _is_new(tx, one, commit):
        place = f"{place}-after-{newest.id}"
    payload = push_payload(one.app, one.branch, commit, newest.sha if newest else NO_COMMIT)
    return NewDelivery(
        hook_id=RECONCILE,
        guid=f"{RECONCILE}-{place}-{commit.sha}",
        event="push",
        body=msgspec.json.encode(payload),
        received_at=now,
        source=RECONCILE,
        verified_app_id=one.app.id,
    )


def push_payload(app: App, branch: str, commit: Commit, before: str) -> dict[str, Any]:
    """A push in GitHub's shape, as far as it is known (docs.github.com/webhooks, events and payloads)."""
    owner, _, name = app.repository.partition("/")
    author = {"name": commit.author or "unknown", "username": commit.author or None}
    head = {"id": commit.sha, "message": commit.message, "author": author, "committer": author}
    return {
        "ref": f"refs/heads/{branch}",
        "before": before,
        "after": commit.sha,
        "created": False,
        "deleted": False,
        "forced": False,
        "head_commit": head,
        "commits": [head],
        "pusher": {"name": "slipway"},
        "sender": {"login": commit.author or "slipway", "type": "User"},
        "repository": {
            "id": app.repository_id or NO_REPOSITORY_ID,
            "name": name,
            "full_name": app.repository,
            "clone_url": app.clone_url,
            "default_branch": app.production_branch,
            "owner": {"login": owner, "name": owner},
        },
    }
