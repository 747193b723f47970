"""What polling saw of a repository, and which events make the way from there to what is seen now. Pure.

The events have GitHub's shape, as far as it is known: https://docs.github.com/webhooks/webhook-events-and-payloads
"""

import re
from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta
from typing import Any

import msgspec

from bot.domain.listing import Listed
from bot.intake.fields import moment

MAX_KNOWN = 2000
"""Pull requests that are remembered, the newest."""
LATE = timedelta(minutes=2)
"""How much later than others of its moment a comment may be listed."""
_ON_PULL = re.compile(r"/pull/(\d{1,18})#issuecomment-\d+$")


class Seen(msgspec.Struct):
    """An open pull request as it was seen last. `head` is a commit, `base` a branch."""

    head: str
    base: str
    title: str
    draft: bool
    labels: list[str]


class Polled(msgspec.Struct):
    """What was seen of a repository.

    `heads`: by app and branch, the commit that was last told of. `branches`: a branch's head as GitHub
    answered it, which goes with its entry in `etags`. `told`: how many events were made of it all.
    `updated`: when the pull request that changed last did; None until they were read first.
    `commented`: when the last comment was written; None until those were read first. `comments`: the
    numbers of those that are no older than it by more than `LATE`.
    """

    repository: Listed | None = None
    etags: dict[str, str] = {}
    branches: dict[str, dict[str, str]] = {}
    heads: dict[str, dict[str, str]] = {}
    pulls: dict[str, Seen] = {}
    updated: str | None = None
    commented: datetime | None = None
    comments: list[int] = []
    told: int = 0


class _Named(msgspec.Struct):
    name: str = ""


class _Ref(msgspec.Struct):
    ref: str
    sha: str


class _Pull(msgspec.Struct):
    number: int
    state: str
    head: _Ref
    base: _Ref
    title: str | None = None
    draft: bool | None = None
    labels: list[_Named] = []
    created_at: str = ""
    updated_at: str = ""


class _Comment(msgspec.Struct):
    id: int
    created_at: str
    html_url: str

    @property
    def moment(self) -> datetime:
        return moment(self.created_at)

    @property
    def pull(self) -> int | None:
        """The pull request that it stands on; None for one on an issue."""
        place = _ON_PULL.search(self.html_url)
        return int(place[1]) if place else None


def pull_events(known: Polled, found: Iterable[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """The events that lead from what is known to pull requests as GitHub lists them; `known` follows.

    One that was opened and closed in between never was. Those that can't be read are left out.
    """
    events: list[dict[str, Any]] = []
    before = known.updated
    readable = [(pull, raw) for raw in found if (pull := _read(raw)) is not None]
    for pull, raw in sorted(readable, key=lambda pair: (pair[0].updated_at, pair[0].number)):
        seen = known.pulls.get(str(pull.number))
        is_old = before is not None and pull.created_at <= before
        events += [_event(raw, pull, change) for change in _changes(seen, pull, is_old=is_old)]
        if pull.state == "open":
            known.pulls[str(pull.number)] = _seen(pull)
        else:
            known.pulls.pop(str(pull.number), None)
        known.updated = max(known.updated or "", pull.updated_at)
    known.updated = known.updated or ""
    for number in sorted(known.pulls, key=int)[:-MAX_KNOWN]:
        del known.pulls[number]
    return events


def is_news(known: Polled, raw: Mapping[str, Any]) -> bool:
    """Whether a pull request changed since those were read that are known."""
    return known.updated is None or str(raw.get("updated_at", "")) >= known.updated


def comment_events(
    known: Polled, found: Iterable[Mapping[str, Any]], begin: datetime
) -> list[dict[str, Any]]:
    """The events of comments on pull requests that nobody told of yet, in their order; `known` follows.

    Those written before `begin` count for nothing.
    """
    since = _since(known, begin)
    read = [(one, raw) for raw in found if (one := _comment(raw)) is not None and one.moment >= since]
    fresh = [(one, raw) for one, raw in read if one.id not in known.comments]
    newest = max([known.commented or begin, *(one.moment for one, _ in read)])
    ids = {one.id for one, _ in read if one.moment >= newest - LATE}
    known.commented, known.comments = newest, sorted(ids)
    fresh.sort(key=lambda pair: (pair[0].moment, pair[0].id))
    return [_comment_event(known, one, raw) for one, raw in fresh if one.pull is not None]


def is_new_comment(known: Polled, raw: Mapping[str, Any], begin: datetime) -> bool:
    """Whether a comment may be one that nobody told of, and so may those that are listed after it."""
    return moment(raw.get("created_at")) >= _since(known, begin)


def _since(known: Polled, begin: datetime) -> datetime:
    return max(known.commented - LATE, begin) if known.commented is not None else begin


def _comment(raw: Mapping[str, Any]) -> _Comment | None:
    try:
        return msgspec.convert(raw, _Comment)
    except msgspec.ValidationError:
        return None


def _comment_event(known: Polled, one: _Comment, raw: Mapping[str, Any]) -> dict[str, Any]:
    listed = known.repository
    repository = None
    if listed is not None:
        repository = {
            "id": listed.id,
            "full_name": listed.full_name,
            "default_branch": listed.default_branch,
            "private": listed.private,
        }
    return {
        "action": "created",
        "issue": {"number": one.pull, "pull_request": {"html_url": one.html_url.partition("#")[0]}},
        "comment": dict(raw),
        "repository": repository,
        "sender": raw.get("user"),
    }


def _read(raw: Mapping[str, Any]) -> _Pull | None:
    try:
        return msgspec.convert(raw, _Pull)
    except msgspec.ValidationError:
        return None


def _seen(pull: _Pull) -> Seen:
    labels = [label.name for label in pull.labels]
    return Seen(pull.head.sha, pull.base.ref, pull.title or "", pull.draft is True, labels)


def _changes(seen: Seen | None, pull: _Pull, *, is_old: bool) -> list[dict[str, Any]]:
    if seen is None:
        return [{"action": "reopened" if is_old else "opened"}] if pull.state == "open" else []
    now = _seen(pull)
    changes: list[dict[str, Any]] = []
    edits: dict[str, Any] = {}
    if now.base != seen.base:
        edits["base"] = {"ref": {"from": seen.base}}
    if now.title != seen.title:
        edits["title"] = {"from": seen.title}
    if edits:
        changes.append({"action": "edited", "changes": edits})
    if now.draft != seen.draft:
        changes.append({"action": "converted_to_draft" if now.draft else "ready_for_review"})
    for action, names in (
        ("unlabeled", [name for name in seen.labels if name not in now.labels]),
        ("labeled", [name for name in now.labels if name not in seen.labels]),
    ):
        changes += [{"action": action, "label": {"name": name}} for name in names]
    if now.head != seen.head:
        changes.append({"action": "synchronize", "before": seen.head, "after": now.head})
    if pull.state != "open":
        changes.append({"action": "closed"})
    return changes


def _event(raw: Mapping[str, Any], pull: _Pull, change: dict[str, Any]) -> dict[str, Any]:
    merged = isinstance(raw.get("merged_at"), str)
    return {
        **change,
        "number": pull.number,
        "pull_request": {**raw, "merged": merged},
        "repository": (raw.get("base") or {}).get("repo"),
        "sender": raw.get("user"),
    }
