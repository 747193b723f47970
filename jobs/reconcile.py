"""Asks GitHub about the repositories of known apps: their names and states, and their open pull requests.

What no event told of is made up for. A pull request that was opened, changed or closed becomes a
delivery of our own, which is decided about like GitHub's; a repository that has another name, is
archived, or can be reached again, is remembered as such.
"""

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import msgspec

from bot.clock import Clock, utc_now
from bot.domain.app import Absence, App
from bot.domain.ids import TenantId
from bot.domain.listing import Listed
from bot.domain.pull import PullNumber, PullRequest, preview_name
from bot.github import source
from bot.github.client import GitHub
from bot.github.errors import GitHubError, RejectedError, SuspendedError
from bot.intake.fields import moment
from bot.lifecycle import Lifecycle
from bot.log import logger
from bot.previews import learn_visibility
from bot.queue import Queue
from bot.store import apps, deliveries, deployments, environments, pulls
from bot.store.deliveries import NO_REPOSITORY_ID, RECONCILE, NewDelivery
from bot.store.engine import Tx, reading, writing
from jobs.asides import Asides, Who
from jobs.polled import Polled, Seen, pull_events

MAX_PAGES = 10
"""Pages of 100 open pull requests that are read of one repository."""
MAX_CLOSED = 20
"""Pull requests of one repository that are asked for because they are not listed as open any more."""

_UNREACHABLE = (Absence.SUSPENDED, Absence.UNINSTALLED, Absence.REMOVED, Absence.DELETED)
_WHO = Who("GitHub", "asked GitHub")


_Key = tuple[TenantId, int, str]


@dataclass
class _Known:
    """What GitHub answered last about one repository."""

    repository_etag: str = ""
    private: bool | None = None
    pulls_etag: str = ""
    is_answered: bool = False
    """Whether it was seen to that each open pull request has been decided about for each app."""
    waits: bool = False
    """Whether its pull requests were not asked for, since other news waited to be decided about."""


@dataclass(frozen=True)
class Reconciling:
    """What asking needs. `with_pulls`: not where polling asks for pull requests anyway."""

    lifecycle: Lifecycle
    queue: Queue
    github: GitHub
    asides: Asides
    with_pulls: bool = True
    clock: Clock = utc_now
    known: dict[_Key, _Known] = field(default_factory=dict[_Key, _Known])

    def forget(self) -> None:
        """Ask for everything anew: an app is deployed again that was not for a while."""
        self.known.clear()

    def go_on(self) -> int:
        """Ask about those repositories that had other news when they were asked about last."""
        waiting = {key for key, known in self.known.items() if known.waits}
        return self.run(waiting) if waiting else 0

    def run(self, only: Collection[_Key] | None = None) -> int:
        """Ask about each repository; how many events that made. Raises nothing of GitHub's."""
        if not self.github.is_set:
            return 0
        made = 0
        for key, group in self._groups().items():
            if only is not None and key not in only:
                continue
            try:
                made += self._look(key, group)
            except RejectedError as error:
                logger.warning(
                    "a repository could not be asked", repository=group[0].repository, why=str(error)
                )
            except GitHubError as error:
                logger.warning("GitHub could not be asked", repository=group[0].repository, why=str(error))
                break
        return made

    def _groups(self) -> dict[_Key, list[App]]:
        """Apps by repository. What one tenant's sign-in is told says nothing of the apps of others."""
        groups: dict[_Key, list[App]] = {}
        with reading(self.lifecycle.engine) as tx:
            for app in apps.all_apps(tx):
                if app.repository_id not in (None, NO_REPOSITORY_ID) and app.archived_at is None:
                    key = (app.tenant_id, app.repository_id, app.repository.lower())
                    groups.setdefault(key, []).append(app)
        return groups

    def _look(self, key: _Key, group: list[App]) -> int:
        known = self.known.setdefault(key, _Known())
        try:
            found, etag = source.repository(self.github, group[0], known.repository_etag)
        except SuspendedError:
            self._suspend(group)
            raise
        if found is not None:
            known.private = found.private
        self._note(
            group, found, known.private, follows=found is not None and self._may_follow(group[0], found)
        )
        known.repository_etag = etag
        with reading(self.lifecycle.engine) as tx:
            group = [apps.get(tx, app.id) for app in group]
            is_busy = bool(deliveries.undecided(tx, self.clock(), 1))
        # What waits to be decided about may be the very news.
        wants_pulls = (self.with_pulls or not known.is_answered) and any(app.enabled for app in group)
        known.waits = wants_pulls and is_busy
        if not wants_pulls or is_busy:
            return 0
        made = self._ask_for_pulls(key[1], group, known)
        known.is_answered = True
        return made

    def _suspend(self, group: list[App]) -> None:
        with self.lifecycle.change() as change:
            for app in group:
                self.asides.set_absence(change, app, Absence.SUSPENDED, _WHO)

    def _may_follow(self, app: App, found: Listed) -> bool:
        """Whether a repository's new name is to be an app's, too.

        Which repository an app means may have been told by whoever knows its own secret, who can name any
        that our sign-in reads. So the old name must lead there, too, as GitHub has it after a renaming.
        """
        with reading(self.lifecycle.engine) as tx:
            is_told = apps.sealed_secret(tx, app.id) is not None
        if not is_told or found.full_name.lower() == app.repository.lower():
            return True
        try:
            named, _ = source.repository(self.github, replace(app, repository_id=None))
        except RejectedError:
            return False
        return named is not None and named.id == found.id

    def _note(self, group: list[App], found: Listed | None, private: bool | None, *, follows: bool) -> None:
        """Remember what a repository is by now. None: as it was when it was asked for last."""
        with self.lifecycle.change() as change:
            for app in group:
                self.asides.come_back(change, app, _UNREACHABLE, _WHO)
                # Unchanged counts, too: a late event may have said otherwise, and a new app knows nothing.
                learn_visibility(change, app, private)
                if found is None:
                    continue
                if follows:
                    self.asides.follow(change, app, found.full_name, _WHO)
                if found.archived:
                    self.asides.set_absence(change, app, Absence.ARCHIVED, _WHO)
                else:
                    self.asides.come_back(change, app, (Absence.ARCHIVED,), _WHO)

    def _ask_for_pulls(self, number: int, group: list[App], known: _Known) -> int:
        listed, is_whole = self._open_pulls(group[0], known)
        if listed is None:
            return 0
        with reading(self.lifecycle.engine) as tx:
            stored = {one.number: one for one in pulls.open_of(tx, [app.id for app in group], number)}
            wanted = [raw for raw in listed if _is_missed(tx, number, raw, group)]
            unanswered = set[int]() if known.is_answered else _unanswered(tx, wanted, group)
        if not self.with_pulls:
            wanted = [raw for raw in wanted if raw.get("number") in unanswered]
        elif is_whole:
            there = {raw.get("number") for raw in listed}
            unlisted = [one for one in stored if one not in there][:MAX_CLOSED]
            wanted += [source.pull(self.github, group[0], one) for one in unlisted]
        seen = Polled(
            pulls={str(one.number): _seen(one) for one in stored.values() if one.number not in unanswered}
        )
        return self._tell(group[0], pull_events(seen, wanted))

    def _open_pulls(self, app: App, known: _Known) -> tuple[list[dict[str, Any]] | None, bool]:
        """Open pull requests, and whether those are all; None: as they were when they were asked for last."""
        page = source.pulls(
            self.github, app, state="open", etag=known.pulls_etag if known.is_answered else ""
        )
        if page.found is None:
            return None, True
        found, etag, is_short = list(page.found), page.etag, not page.has_more
        for number in range(2, MAX_PAGES + 1):
            if not page.has_more:
                break
            page = source.pulls(self.github, app, state="open", number=number)
            found += page.found or []
        # The tag of a first page says nothing of those that follow.
        known.pulls_etag = etag if is_short else ""
        return found, not page.has_more

    def _tell(self, app: App, events: list[dict[str, Any]]) -> int:
        if not events:
            return 0
        by = self.github.installation(app)
        new = [_delivery(app, {**event, **by}, self.clock) for event in events]
        with writing(self.lifecycle.engine) as tx:
            added = list(deliveries.insert_new(tx, new).values())
        if added:
            logger.info(
                "pull requests changed, and no event had told", repository=app.repository, events=len(added)
            )
        self.queue.intake(added)
        return len(added)


def _is_missed(tx: Tx, repository: int, raw: Mapping[str, Any], group: list[App]) -> bool:
    """Whether an open pull request should be known: older ones than the app were never told of."""
    number = raw.get("number")
    born = min(app.created_at for app in group)
    if isinstance(number, int) and any(
        pulls.find(tx, app.id, repository, PullNumber(number)) is not None for app in group
    ):
        return True
    # GitHub's dates are whole seconds.
    return moment(raw.get("updated_at")) >= born.replace(microsecond=0)


def _unanswered(tx: Tx, listed: Iterable[Mapping[str, Any]], group: list[App]) -> set[int]:
    """The pull requests about whose head some app has nothing to say, as while it was switched off."""
    found: set[int] = set()
    for raw in listed:
        number, head = raw.get("number"), raw.get("head")
        sha: Any = head.get("sha") if isinstance(head, dict) else None  # pyright: ignore[reportUnknownVariableType]
        if not isinstance(number, int) or not isinstance(sha, str):
            continue
        if any(_lacks(tx, app, raw, number=PullNumber(number), sha=sha) for app in group):
            found.add(number)
    return found


def _lacks(tx: Tx, app: App, raw: Mapping[str, Any], *, number: PullNumber, sha: str) -> bool:
    if not app.enabled or moment(raw.get("updated_at")) < app.created_at.replace(microsecond=0):
        return False
    preview = environments.by_name(tx, app.id, preview_name(number))
    return preview is None or deployments.newest_of_commit(tx, preview.id, sha) is None


def _seen(pull: PullRequest) -> Seen:
    return Seen(pull.head_sha, pull.base_branch, pull.title, pull.draft, list(pull.labels))


def _delivery(app: App, event: dict[str, Any], clock: Clock) -> NewDelivery:
    pull = event["pull_request"]
    words = [event["action"], event.get("label", {}).get("name", ""), pull["head"]["sha"], pull["updated_at"]]
    return NewDelivery(
        hook_id=RECONCILE,
        guid=f"{RECONCILE}-pull-{app.id}-{event['number']}-{'-'.join(word for word in words if word)}",
        event="pull_request",
        body=msgspec.json.encode(event),
        received_at=clock(),
        source=RECONCILE,
    )
