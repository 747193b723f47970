"""Asks repositories what is new, for instances that GitHub can't reach: `SLIPWAY_INTAKE=poll`.

What is found becomes a delivery like those that GitHub sends, and goes the same way. Repositories on
GitHub are asked with conditional requests, which cost nothing of its limits while nothing is new
(docs.github.com/rest/using-the-rest-api/best-practices-for-using-the-rest-api); others by
`git ls-remote`. One after the other: that alone stays below GitHub's limit of requests a minute.
"""

import hashlib
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import msgspec

from bot.clock import Clock, utc_now
from bot.domain.app import App
from bot.domain.deployment import Commit
from bot.domain.ids import Sha
from bot.errors import UserError
from bot.github import source
from bot.github.client import GitHub
from bot.github.errors import GitHubError, NotFoundError, RejectedError, RetryLaterError
from bot.intake.recipe import policy_from_json
from bot.log import logger
from bot.queue import Queue
from bot.settings import Settings
from bot.store import apps, deliveries, deployments, environments, polls
from bot.store.deliveries import NewDelivery
from bot.store.engine import Engine, reading, writing
from jobs.git import Mirrors
from jobs.git.command import GitFailedError
from jobs.polled import Polled, comment_events, is_new_comment, is_news, pull_events
from jobs.recovery import NO_COMMIT, push_payload

MAX_PAGES = 30
"""Pages of 100 pull requests, or of 100 comments, that one look reads."""
LONGEST_PAUSE = 3600.0
"""Longest pause, in seconds, before a repository that fails is asked again."""


@dataclass
class _Turn:
    due: float = 0.0
    failures: int = 0


@dataclass
class _Look:
    """One look at one repository: what was known, which grows, and what is to be told."""

    key: str
    apps: list[App]
    known: Polled
    new: list[NewDelivery] = field(default_factory=list[NewDelivery])


@dataclass(frozen=True)
class Polling:
    """What polling needs. `turns` says when each repository is asked next."""

    settings: Settings
    engine: Engine
    queue: Queue
    github: GitHub
    mirrors: Mirrors
    clock: Clock = utc_now
    monotonic: Callable[[], float] = time.monotonic
    turns: dict[str, _Turn] = field(default_factory=dict[str, _Turn])

    def run(self) -> int:
        """Ask each repository that is due; how many events that made. Raises nothing of theirs."""
        told, asked = 0, 0
        problems: dict[str, str] = {}
        for key, group in self._groups().items():
            turn = self.turns.setdefault(key, _Turn())
            if turn.due > self.monotonic():
                continue
            asked += 1
            problem, count = self._ask(key, group, turn)
            told += count
            problems[group[0].repository] = problem
        if asked:
            with writing(self.engine) as tx:
                polls.note(tx, self.clock(), problems)
        return told

    def _groups(self) -> dict[str, list[App]]:
        groups: dict[str, list[App]] = {}
        with reading(self.engine) as tx:
            for app in apps.all_apps(tx):
                if app.enabled:
                    groups.setdefault(self._key(app), []).append(app)
        return groups

    def _key(self, app: App) -> str:
        if self._is_on_github(app):
            return f"github {app.tenant_id} {app.repository.lower()}"
        return f"git {app.tenant_id} {app.clone_url}"

    def _is_on_github(self, app: App) -> bool:
        base = self.settings.github_url.rstrip("/").lower()
        return self.github.is_set and app.clone_url.lower().startswith(f"{base}/")

    def _ask(self, key: str, group: list[App], turn: _Turn) -> tuple[str, int]:
        """Look at a repository; what went wrong with that, and how many events it made."""
        pause, problem, count = self.settings.poll_seconds, "", 0
        try:
            count, problem = self._look(key, group)
            turn.failures = 0
        except (GitHubError, UserError, GitFailedError) as error:
            turn.failures += 1
            problem = str(error)
            pause = min(pause * 2 ** min(turn.failures, 10), max(LONGEST_PAUSE, pause))
            if isinstance(error, RetryLaterError):
                pause = max(self.settings.poll_seconds, error.seconds)
            logger.warning("a repository could not be asked", repository=group[0].repository, why=problem)
        turn.due = self.monotonic() + pause
        return problem, count

    def _look(self, key: str, group: list[App]) -> tuple[int, str]:
        name = hashlib.sha256(key.encode()).hexdigest()[:20]
        with reading(self.engine) as tx:
            known = polls.seen(tx, name, Polled)
        look = _Look(name, group, known)
        before = msgspec.json.encode(known)
        problem = ""
        if self._is_on_github(group[0]):
            problem = self._look_at_github(look)
        else:
            self._look_by_git(look)
        if msgspec.json.encode(known) != before:
            with writing(self.engine) as tx:
                if msgspec.json.encode(polls.seen(tx, name, Polled)) != before:
                    # Another process has the lead now, and looked meanwhile: what it told is told.
                    return 0, ""
                added = list(deliveries.insert_new(tx, look.new).values()) if look.new else []
                polls.keep(tx, name, known)
            self.queue.intake(added)
        for one in look.new:
            logger.info("found by asking", kind=one.event, guid=one.guid)
        return len(look.new), problem

    def _look_at_github(self, look: _Look) -> str:
        app, known = look.apps[0], look.known
        found, etag = source.repository(self.github, app, known.etags.get("repository", ""))
        known.repository, known.etags["repository"] = found or known.repository, etag
        for branch in self._followed(look.apps):
            commit = self._branch_of(look, branch)
            for one in look.apps:
                self._tell_head(look, one, branch, commit)
        problems: list[str] = []
        for what, read in (("pull requests", self._look_at_pulls), ("comments", self._look_at_comments)):
            try:
                read(look)
            except RejectedError as error:
                # Without that permission the rest is done all the same.
                problems.append(f"{what}: {error}")
        return "; ".join(problems)

    def _branch_of(self, look: _Look, branch: str) -> Commit | None:
        known, place = look.known, f"branch {branch}"
        try:
            found, etag = source.branch(self.github, look.apps[0], branch, known.etags.get(place, ""))
        except NotFoundError:
            known.branches.pop(branch, None)
            known.etags.pop(place, None)
            return None
        known.etags[place] = etag
        if found is not None:
            head = found.commit
            known.branches[branch] = {
                "sha": head.sha,
                "message": head.commit.message,
                "author": found.author,
            }
        kept = known.branches[branch]
        return Commit(Sha(kept["sha"]), kept["message"], kept["author"])

    def _look_at_pulls(self, look: _Look) -> None:
        known = look.known
        state = "open" if known.updated is None else "all"
        page = source.pulls(self.github, look.apps[0], state=state, etag=known.etags.get("pulls", ""))
        if page.found is None:
            return
        etag, found = page.etag, list(page.found)
        for number in range(2, MAX_PAGES + 1):
            if not page.has_more or not page.found or not is_news(known, page.found[-1]):
                break
            page = source.pulls(self.github, look.apps[0], state=state, number=number)
            found += page.found or []
        # The first answer was about open ones alone: its tag says nothing of all.
        known.etags["pulls"] = etag if state == "all" else ""
        by = self.github.installation(look.apps[0])
        for event in pull_events(known, [one for one in found if is_news(known, one)]):
            self._tell(look, "pull_request", {**event, **by})

    def _look_at_comments(self, look: _Look) -> None:
        known, app = look.known, look.apps[0]
        # GitHub's dates are whole seconds.
        begin = min(one.created_at for one in look.apps).replace(microsecond=0)
        page = source.comments(self.github, app, etag=known.etags.get("comments", ""))
        if page.found is None:
            return
        etag, found = page.etag, list(page.found)
        for number in range(2, MAX_PAGES + 1):
            if not page.has_more or not page.found or not is_new_comment(known, page.found[-1], begin):
                break
            page = source.comments(self.github, app, number=number)
            found += page.found or []
        known.etags["comments"] = etag
        for event in comment_events(known, found, begin):
            self._tell(look, "issue_comment", event)

    def _look_by_git(self, look: _Look) -> None:
        heads = self.mirrors.heads(look.apps[0])
        for branch in self._followed(look.apps):
            sha = heads.get(branch)
            is_told = sha is not None and all(
                look.known.heads.get(str(app.id), {}).get(branch) == sha for app in look.apps
            )
            commit = None
            if sha is not None and not is_told:
                self.mirrors.fetch_commit(look.apps[0], sha)
                commit = Commit(sha, self.mirrors.message(look.apps[0], sha))
            for app in look.apps:
                if not is_told:
                    self._tell_head(look, app, branch, commit)

    def _followed(self, group: list[App]) -> list[str]:
        """The branches that are deployed, as far as policies are known."""
        found: dict[str, None] = {}
        with reading(self.engine) as tx:
            for app in group:
                policy = policy_from_json(apps.policy(tx, app.id))
                mapped = policy.environments.values() if policy else ()
                own = environments.mapped(tx, app.id).values()
                found |= dict.fromkeys((app.production_branch, *mapped, *own))
        return list(found)

    def _tell_head(self, look: _Look, app: App, branch: str, commit: Commit | None) -> None:
        """Tell of a branch that moved, came or went since its app was last told."""
        told = look.known.heads.setdefault(str(app.id), {})
        before = told.get(branch)
        after = commit.sha if commit else None
        if before == after:
            return
        if commit is None:
            del told[branch]
        else:
            told[branch] = commit.sha
        if before is None and commit is not None and self._is_deployed(app, branch, commit.sha):
            return
        payload = push_payload(app, branch, commit or Commit(Sha(NO_COMMIT)), before or NO_COMMIT)
        payload |= {"created": before is None, "deleted": commit is None}
        if commit is None:
            payload |= {"head_commit": None, "commits": []}
        listed = look.known.repository
        if listed is not None:
            payload["repository"] |= {"id": listed.id, "default_branch": listed.default_branch}
        elif app.repository_id is None:
            payload["repository"]["id"] = deliveries.NO_REPOSITORY_ID
        self._tell(look, "push", payload, app)

    def _is_deployed(self, app: App, branch: str, sha: Sha) -> bool:
        with reading(self.engine) as tx:
            places = [one for one in environments.of_apps(tx, [app.id]) if one.branch == branch]
            return any(deployments.newest_of_commit(tx, one.id, sha) is not None for one in places)

    def _tell(self, look: _Look, event: str, payload: dict[str, Any], app: App | None = None) -> None:
        look.known.told += 1
        look.new.append(
            NewDelivery(
                hook_id=deliveries.POLL,
                guid=f"{deliveries.POLL}-{look.key}-{look.known.told}",
                event=event,
                body=msgspec.json.encode(payload),
                received_at=self.clock(),
                source=deliveries.POLL,
                verified_app_id=app.id if app else None,
            )
        )
