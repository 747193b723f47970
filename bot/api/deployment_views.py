"""What deployments look like in answers."""

from datetime import datetime
from operator import attrgetter
from typing import Any, Literal

from pydantic import Field

from bot import render
from bot.api.envelope import Model
from bot.api.lean import lean
from bot.api.operation import Call
from bot.domain.deployment import UNKNOWN_COMMIT, Deployment, Failure, Hold, Kind, Phase, State, Trigger
from bot.domain.ids import Sha, reference
from bot.store import pages
from bot.store.pages import Shown


class CommitView(Model):
    """A commit. Its id is null while the head of the branch has not been looked up."""

    sha: str | None = Field(examples=["5c1f0a3e9d7b2c4e6f8a0b1d3c5e7f9a1b3c5d7e"])
    message: str = Field(examples=["Show the price"])
    author: str = Field(examples=["mona"])


class DeploymentView(Model):
    """One attempt to bring one commit, or one release, into one environment."""

    id: int = Field(examples=[12])
    reference: str = Field(examples=["DEP-12"])
    app: str = Field(examples=["shop"])
    environment: str = Field(examples=["production"])
    status: State = Field(examples=["succeeded"])
    phase: str | None = Field(examples=["verify"])
    kind: Kind = Field(examples=["build"])
    """`rollback` brings a release that exists; nothing is built."""
    trigger: Trigger = Field(examples=["push"])
    branch: str | None = Field(examples=["main"])
    tag: str | None = Field(examples=[None])
    pull_request: int | None = Field(examples=[None])
    commit: CommitView
    reason: str = Field(examples=["amber-otter-42 is live"])
    """Why it is in this state, in one sentence."""
    hold: Hold | None = Field(examples=[None])
    """What a held one waits for."""
    requested_by: str = Field(examples=["mona"])
    approved_by: str | None = Field(examples=[None])
    """Who let this very commit go, where somebody had to."""
    with_secrets: bool = Field(examples=[False])
    """Whether that was with secrets."""
    note: str | None = Field(examples=["hotfix for the price"])
    """What whoever asked for it wrote down."""
    rebuild: bool = Field(examples=[False])
    """Whether it is built though its content was built before."""
    clean: bool = Field(examples=[False])
    """Whether without what earlier builds left."""
    release: str | None = Field(examples=["amber-otter-42"])
    release_number: int | None = Field(examples=[42])
    superseded_by: str | None = Field(examples=[None])
    attempt: int = Field(examples=[1])
    error: str | None = Field(examples=[None])
    """What went wrong, in one sentence; more at `/failure`."""
    url: str = Field(examples=["https://shop.example.org"])
    """Where the environment is."""
    page: str = Field(examples=["https://deploys.example.org/deployments/DEP-12"])
    """Its page in the console."""
    created_at: datetime = Field(examples=["2026-01-31T12:00:00Z"])
    started_at: datetime | None = Field(examples=["2026-01-31T12:00:01Z"])
    finished_at: datetime | None = Field(examples=["2026-01-31T12:00:09Z"])


class StepView(Model):
    """One step of one attempt."""

    name: Phase = Field(examples=["build"])
    attempt: int = Field(examples=[1])
    status: str = Field(examples=["succeeded"])
    command: str | None = Field(examples=["npm run build"])
    exit_code: int | None = Field(examples=[0])
    log: str | None = Field(examples=[None])
    """With `?log=true`: what it said, of a long log the end, with `\\n` after each line."""
    success: bool | None = Field(examples=[True])
    """Null while it runs."""
    started_at: datetime = Field(examples=["2026-01-31T12:00:02Z"])
    finished_at: datetime | None = Field(examples=["2026-01-31T12:00:08Z"])


class EventView(Model):
    """One change of state."""

    status: State = Field(examples=["queued"])
    reason: str = Field(examples=["pushed to main"])
    at: datetime = Field(examples=["2026-01-31T12:00:00Z"])


class LineView(Model):
    """One line of a log."""

    n: int = Field(examples=[17])
    at: str = Field(examples=["2026-01-31T12:00:00.123Z"])
    step: str = Field(examples=["build"])
    stream: str = Field(examples=["stdout"])
    text: str = Field(examples=["42 modules transformed."])


class FailureView(Model):
    """Why a deployment failed, and what to try."""

    reference: str = Field(examples=["DEP-12"])
    phase: str | None = Field(examples=["build"])
    code: str = Field(examples=["build-failed"])
    blame: Literal["user", "platform"] = Field(examples=["user"])
    """`user`: the repository or its settings; `platform`: Slipway or its machine."""
    message: str = Field(examples=["The build command failed."])
    advice: str = Field(examples=["Run it on your machine."])
    command: str | None = Field(examples=["npm run build"])
    exit_code: int | None = Field(examples=[1])
    lines: list[LineView]
    """The last lines of the step that failed; without Redis and archive, none."""


class QueueView(Model):
    """A place in the queue."""

    position: int = Field(examples=[2])
    """From 1, of the whole instance."""
    estimated_start_seconds: int = Field(examples=[35])
    """By how long such deployments took before."""


class DeploymentDetail(DeploymentView):
    """A deployment with its steps and its history."""

    queue: QueueView | None
    """While it is queued: when it is its turn."""
    steps: list[StepView]
    events: list[EventView]


class LogView(Model):
    """A part of a log."""

    lines: list[LineView]
    next: int = Field(examples=[17])
    """The `after` of the next request."""
    is_complete: bool = Field(examples=[False])
    """Whether nothing follows any more."""


row = lean(DeploymentView)
"""Makes a row of a list of the fields of a deployment."""


def view(call: Call, shown: Shown) -> dict[str, Any]:
    """The fields of a deployment, as models take them."""
    one, settings = shown.deployment, call.services.settings
    return {
        **dict(zip(_COPIED, _copied(one), strict=True)),
        "reference": reference(one.id),
        "app": shown.app,
        "pull_request": one.pull,
        "environment": shown.environment,
        "status": one.state,
        "commit": {"sha": _known(one.sha), "message": one.message, "author": one.author},
        "release": shown.release,
        "release_number": shown.release_number,
        "superseded_by": reference(one.superseded_by) if one.superseded_by else None,
        "error": sentence(one.failure) if one.failure else None,
        "url": settings.site_url(shown.hostname),
        "page": f"{settings.url}/deployments/{reference(one.id)}",
    }


_COPIED = (
    "id phase kind trigger branch tag reason hold requested_by approved_by with_secrets note rebuild clean "
    "attempt created_at started_at finished_at"
).split()
_copied = attrgetter(*_COPIED)


def _known(sha: Sha) -> str | None:
    return None if sha == UNKNOWN_COMMIT else sha


def sentence(failure: Failure) -> str:
    """What went wrong, in one sentence."""
    return render.sentence_or(failure.code, failure.facts, f"The deployment failed: {failure.code}.")


def note_made(call: Call, made: Deployment, given: dict[str, Any]) -> None:
    """Tell the audit log which deployment was asked for, and by what words; what was left out is not told."""
    call.note(reference(made.id), after={name: value for name, value in given.items() if value is not None})


def shown_again(call: Call, deployment: Deployment) -> DeploymentView:
    """A deployment as it stands now."""
    shown = pages.shown(call.tx, deployment.id)
    assert shown is not None
    return DeploymentView(**view(call, shown))
