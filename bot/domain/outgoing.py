"""What is told to others: events, who wants them (webhooks, channels), and when to try again (pure)."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any

from bot.domain.deployment import State
from bot.domain.ids import AppId, ProjectId, TenantId


class Event(StrEnum):
    """Everything that a webhook or a channel can choose."""

    DEPLOYMENT_HELD = "deployment.held"
    DEPLOYMENT_QUEUED = "deployment.queued"
    DEPLOYMENT_RUNNING = "deployment.running"
    DEPLOYMENT_SUCCEEDED = "deployment.succeeded"
    DEPLOYMENT_FAILED = "deployment.failed"
    DEPLOYMENT_RECOVERED = "deployment.recovered"
    DEPLOYMENT_CANCELLED = "deployment.cancelled"
    DEPLOYMENT_SUPERSEDED = "deployment.superseded"
    DEPLOYMENT_SKIPPED = "deployment.skipped"
    DEPLOYMENT_REJECTED = "deployment.rejected"
    RELEASE_ACTIVATED = "release.activated"
    RELEASE_ROLLED_BACK = "release.rolled-back"
    PREVIEW_CREATED = "preview.created"
    PREVIEW_REMOVED = "preview.removed"
    APP_CHANGED = "app.changed"
    VARIABLE_CHANGED = "variable.changed"
    DOMAIN_CHANGED = "domain.changed"
    MEMBER_CHANGED = "member.changed"
    TOKEN_CHANGED = "token.changed"  # noqa: S105 an event, no secret
    WEBHOOK_DISABLED = "webhook.disabled"
    TEST = "test"


DESCRIBED: dict[Event, str] = {
    Event.DEPLOYMENT_HELD: "A deployment waits: for approval, or because its environment is pinned.",
    Event.DEPLOYMENT_QUEUED: "A deployment waits for its turn, for the first time or again.",
    Event.DEPLOYMENT_RUNNING: "A deployment began.",
    Event.DEPLOYMENT_SUCCEEDED: "A deployment is live.",
    Event.DEPLOYMENT_FAILED: "A deployment failed.",
    Event.DEPLOYMENT_RECOVERED: "A deployment is live after the one before in its environment had failed.",
    Event.DEPLOYMENT_CANCELLED: "A deployment was cancelled.",
    Event.DEPLOYMENT_SUPERSEDED: "A newer deployment took the place of another.",
    Event.DEPLOYMENT_SKIPPED: "A change was not deployed, by a rule.",
    Event.DEPLOYMENT_REJECTED: "A deployment that waited for approval was refused.",
    Event.RELEASE_ACTIVATED: "An environment shows a release.",
    Event.RELEASE_ROLLED_BACK: "An environment shows an earlier release again.",
    Event.PREVIEW_CREATED: "A pull request has a preview, for the first time or again.",
    Event.PREVIEW_REMOVED: "A preview was taken down.",
    Event.APP_CHANGED: "An app was made, changed, archived or deleted.",
    Event.VARIABLE_CHANGED: "A variable or secret was set or removed; values are never told.",
    Event.DOMAIN_CHANGED: "A domain was added, verified or removed.",
    Event.MEMBER_CHANGED: "Somebody became a member, got another role, or left.",
    Event.TOKEN_CHANGED: "A token was made or revoked.",
    Event.WEBHOOK_DISABLED: "A webhook or channel failed for days and was switched off.",
    Event.TEST: "Sent by the test operation, whatever was chosen.",
}
"""What each event means."""

OF_STATE: dict[State, Event] = {
    state: Event(f"deployment.{state}") for state in State if state is not State.CANCELLING
}
"""The event of a deployment that reached a state."""

_OF_ACTION = {
    "variable": Event.VARIABLE_CHANGED,
    "secret": Event.VARIABLE_CHANGED,
    "domain": Event.DOMAIN_CHANGED,
    "member": Event.MEMBER_CHANGED,
    "invitation": Event.MEMBER_CHANGED,
    "token": Event.TOKEN_CHANGED,
}
_OF_APPS = frozenset("createApp updateApp archiveApp unarchiveApp deleteApp app.created app.changed".split())

RETRIES = tuple(timedelta(seconds=seconds) for seconds in (5, 300, 1800, 7200, 18_000, 36_000, 36_000))
"""Pauses between attempts: 28 hours in all (standard-webhooks.md, 'Deliverability and reliability')."""
LONGEST_REST = timedelta(minutes=5)
SECRET_LIFE = timedelta(hours=24)
"""How long a secret signs beside the one that took its place."""


class ReceiverKind(StrEnum):
    """How somebody is told."""

    WEBHOOK = "webhook"
    CHANNEL = "channel"


class MessageState(StrEnum):
    """Where a message stands."""

    WAITING = "waiting"
    DELIVERED = "delivered"
    FAILED = "failed"


@dataclass(frozen=True)
class Receiver:
    """A webhook or a channel. `sealed`: a webhook's secrets, a channel's URL; `address` may be shown.

    `failing_since`: when the first of the attempts in a row failed. `rest_until`: not tried before.
    """

    id: int
    tenant_id: TenantId
    project_id: ProjectId | None
    app_id: AppId | None
    kind: ReceiverKind
    name: str
    address: str
    sealed: bytes
    events: frozenset[Event]
    enabled: bool
    reason: str
    failures: int
    failing_since: datetime | None
    rest_until: datetime | None
    created_by: str
    created_at: datetime

    def wants(self, event: Event) -> bool:
        """Whether it chose an event; no choice means every one."""
        return event is Event.TEST or not self.events or event in self.events


@dataclass(frozen=True)
class Message:
    """One event for one receiver. `uid` stays the same over attempts and redeliveries."""

    id: int
    receiver_id: int
    uid: str
    event: Event
    facts: dict[str, Any]
    state: MessageState
    attempts: int
    created_at: datetime
    ready_at: datetime | None
    finished_at: datetime | None


@dataclass(frozen=True)
class Answer:
    """What came of one attempt. `note` says what went wrong; `text` is the start of what was answered."""

    ok: bool
    status: int | None = None
    milliseconds: int = 0
    note: str = ""
    text: str = ""
    retry_after: timedelta | None = None
    gone: bool = False
    """The receiver says that it wants nothing any more."""


def event_of(action: str) -> Event | None:
    """The event that a change of the audit log is, if it is one."""
    if action in _OF_APPS:
        return Event.APP_CHANGED
    word = action.lower()
    if "webhook" in word:
        # Its secret is nobody's variable.
        return None
    return next((event for part, event in _OF_ACTION.items() if part in word), None)


def rest_after(failures: int) -> timedelta:
    """How long a receiver is left alone after so many failures in a row: 5 s, doubled up to 5 minutes."""
    return min(timedelta(seconds=5 * 2 ** min(failures - 1, 10)), LONGEST_REST)


SCHEMES = frozenset(
    (
        "mailto mailtos slack discord workflow workflows tgram gchat matrix matrixs mmost mmosts rocket "
        "rockets zulip wxteams webex nctalk nctalks lark feishu dingtalk wecombot line whatsapp threema "
        "signal signals ntfy ntfys gotify gotifys pover pbul prowl simplepush spush pushy bark barks "
        "ifttt opsgenie pagerduty splunk victorops ilert squadcast incidentio betterstack spike twilio "
        "mailgun sendgrid postmark brevo resend sns ses json jsons xml xmls form forms apprise apprises"
    ).split()
)
"""What a channel's URL may begin with: services of apprise that are reached over the network."""
