"""Repositories that the GitHub App may see: the worker lists them when asked here."""

from datetime import datetime, timedelta
from typing import Annotated, Any, Literal

from pydantic import Field

from bot import listings
from bot.api.envelope import Model
from bot.api.operation import About, Call, Operation, Page, Searching
from bot.domain.errand import Errand, ErrandKind, ErrandState
from bot.domain.listing import Installed, Listed
from bot.domain.roles import Verb
from bot.store import errands

TAG = "GitHub"
FRESH = timedelta(seconds=60)
"""How long a list is not asked for anew."""
_STATUS: dict[ErrandState, Literal["running", "done", "failed"]] = {
    ErrandState.ASKED: "running",
    ErrandState.DONE: "done",
    ErrandState.FAILED: "failed",
}


class RepositoryView(Model):
    """A repository on GitHub that can be made an app."""

    id: int = Field(examples=[123456])
    """GitHub's number."""
    full_name: str = Field(examples=["acme/shop"])
    clone_url: str = Field(examples=["https://github.com/acme/shop.git"])
    default_branch: str = Field(examples=["main"])
    private: bool = Field(examples=[True])
    archived: bool = Field(examples=[False])
    installation_id: int | None = Field(examples=[51234567])
    """Null: reached by the token of the settings."""
    account: str = Field(examples=["acme"])
    """Who installed the App."""


class RepositoryQuery(Searching):
    """Which repositories."""

    installation: Annotated[int, Field(ge=1, le=2**62, examples=[51234567])] | None = None
    """Only those of one installation."""


class ListingView(Model):
    """How it stands with the list."""

    status: Literal["running", "done", "failed"] = Field(examples=["running"])
    error: str | None = Field(examples=[None])
    """Why GitHub did not tell."""
    asked_at: datetime = Field(examples=["2026-01-31T12:00:00Z"])
    finished_at: datetime | None = Field(examples=[None])


def _list(call: Call) -> Page:
    asked = call.asked(RepositoryQuery)
    words = (asked.search or "").lower()
    found = [
        _view(installed, one)
        for installed in listings.seen_by(call.tx, call.tenant.id if call.tenant else None)
        if asked.installation in (None, installed.id)
        for one in installed.repositories
        if words in one.full_name.lower()
    ]
    found.sort(key=lambda one: one.full_name.lower())
    part = asked.part("")
    return Page(found[part.offset : part.offset + part.limit], len(found))


def _view(installed: Installed, one: Listed) -> RepositoryView:
    return RepositoryView(
        id=one.id,
        full_name=one.full_name,
        clone_url=one.clone_url,
        default_branch=one.default_branch,
        private=one.private,
        archived=one.archived,
        installation_id=installed.id or None,
        account=installed.account,
    )


def _refresh(call: Call) -> ListingView:
    last = errands.newest(call.tx, ErrandKind.LIST_REPOSITORIES)
    if last is None or call.writing.now - last.created_at > FRESH:
        number = errands.ask(call.tx, ErrandKind.LIST_REPOSITORIES, {}, call.writing.now)
        call.writing.errands.append(number)
        last = errands.get(call.tx, number)
        assert last is not None
    call.note("repositories")
    return _standing(last)


def _standing(last: Errand) -> ListingView:
    failed = last.state is ErrandState.FAILED
    return ListingView(
        status=_STATUS[last.state],
        error=" ".join(last.note.split()) if failed else None,
        asked_at=last.created_at,
        finished_at=last.finished_at,
    )


def _about(**more: Any) -> Operation:
    return Operation(tag=TAG, about=About.TENANT, verb=Verb.CONFIGURE, **more)


OPERATIONS = (
    _about(
        id="listRepositories",
        method="GET",
        path="/github/repositories",
        summary="List repositories that can be made apps",
        handle=_list,
        answer=RepositoryView,
        lists=True,
        query=RepositoryQuery,
        description="As GitHub told last, of the installations that the organisation may use. Ask anew by "
        "`POST /github/repositories/refresh`.",
    ),
    _about(
        id="refreshRepositories",
        method="POST",
        path="/github/repositories/refresh",
        summary="Ask GitHub for the list anew",
        handle=_refresh,
        answer=ListingView,
        status=202,
        description="The worker asks, once within a minute; call it again to see how that stands.",
    ),
)
