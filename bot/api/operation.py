"""What an operation of the API is: declared once, and by that routed, guarded, validated and documented."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import Enum, auto
from typing import Annotated, Any, Literal, TypeVar

import msgspec
from pydantic import Field

from bot.api.envelope import Model
from bot.api.lean import Lean
from bot.api.patterns import LINE
from bot.clock import Clock
from bot.domain.app import App
from bot.domain.roles import Principal, Verb
from bot.lifecycle import Change, Lifecycle
from bot.logs import LogReader
from bot.settings import Settings
from bot.store.engine import Tx
from bot.store.pages import COUNTED, Shown, Slice
from bot.store.people import Project, Tenant
from bot.vault import Vault

M = TypeVar("M", bound=Model)


class About(Enum):
    """What an operation is about; it is found, and whether the caller may is asked, before all else."""

    INSTANCE = auto()
    CALLER = auto()
    TENANT = auto()
    APP = auto()
    DEPLOYMENT = auto()


@dataclass(frozen=True)
class Services:
    """What operations work with."""

    settings: Settings
    lifecycle: Lifecycle
    logs: LogReader
    vault: Vault
    clock: Clock


@dataclass(frozen=True)
class Noted:
    """What the audit log is told of a change besides who made it and where it was asked for."""

    subject: str = ""
    before: Mapping[str, Any] = field(default_factory=dict[str, Any])
    after: Mapping[str, Any] = field(default_factory=dict[str, Any])


@dataclass
class Call:
    """One request that may be carried out: everything that an operation is given."""

    services: Services
    principal: Principal
    tx: Tx
    path: Mapping[str, str]
    query: Model | None = None
    body: Model | None = None
    change: Change | None = None
    tenant: Tenant | None = None
    project: Project | None = None
    app: App | None = None
    shown: Shown | None = None
    noted: Noted = field(default_factory=Noted)
    finish: Callable[[], Model] | None = None
    """What makes the answer once the change is committed, if that is not known before."""

    def note(
        self, subject: str, before: Mapping[str, Any] | None = None, after: Mapping[str, Any] | None = None
    ) -> None:
        """Tell the audit log more of what is done; names, never the values of secrets."""
        self.noted = Noted(subject, before or {}, after or {})

    @property
    def writing(self) -> Change:
        """The transaction of an operation that changes something."""
        assert self.change is not None
        return self.change

    @property
    def of_tenant(self) -> Tenant:
        """The tenant that the operation is about."""
        assert self.tenant is not None
        return self.tenant

    @property
    def of_app(self) -> App:
        """The app that the operation is about."""
        assert self.app is not None
        return self.app

    @property
    def of_deployment(self) -> Shown:
        """The deployment that the operation is about."""
        assert self.shown is not None
        return self.shown

    def asked(self, kind: type[M]) -> M:
        """The parameters."""
        assert isinstance(self.query, kind)
        return self.query

    def given(self, kind: type[M]) -> M:
        """The body."""
        assert isinstance(self.body, kind)
        return self.body


@dataclass(frozen=True)
class Page:
    """What an operation that lists returns."""

    rows: Sequence[Model | Lean]
    total: int


Handler = Callable[[Call], Model | Lean | Page | None]


@dataclass(frozen=True)
class Operation:
    """One method at one address. Paths are below `/api/v1`.

    `answer` is what `data` holds, or each of its rows when it lists; with none, `data` is null.
    Without a `verb`, whoever is known may.
    """

    id: str
    method: Literal["GET", "POST", "PUT", "PATCH", "DELETE"]
    path: str
    summary: str
    tag: str
    about: About
    verb: Verb | None
    handle: Handler
    answer: type[Model] | None = None
    lists: bool = False
    query: type[Model] | None = None
    body: type[Model] | None = None
    status: int = 200
    refusals: Mapping[int, str] = field(default_factory=dict[int, str])
    description: str = ""
    streams: bool = False
    bare: bool = False
    """Whether it answers without the envelope, as another API does."""
    media: Mapping[str, str] = field(default_factory=lambda: {"text/event-stream": "Server-Sent Events."})
    """What it streams, by media type."""

    @property
    def writes(self) -> bool:
        """Whether it changes anything."""
        return self.method != "GET"


PageNumber = Annotated[int, Field(ge=1, le=COUNTED, examples=[1])]
PageSize = Annotated[int, Field(ge=1, le=100, examples=[20])]
Sought = Annotated[str, Field(min_length=1, max_length=200, pattern=LINE, examples=["price"])]


class Paging(Model):
    """Parameters of every list."""

    page: PageNumber = 1
    """Which page, from 1."""
    page_size: PageSize = 20
    """Rows on a page."""

    def part(self, sort: str) -> Slice:
        """The part of the list that is asked for."""
        return Slice((self.page - 1) * self.page_size, self.page_size, sort)


class Searching(Paging):
    """Parameters of long lists."""

    search: Sought | None = None
    """Only what mentions this text."""
    filter: Annotated[str, Field(max_length=2000, examples=['{"branch":"main"}'])] | None = None
    """The other parameters as one JSON object; where both stand, the parameter of its own counts."""


def plain(model: Model | None) -> Any:
    """A model as JSON holds it."""
    return None if model is None else model.model_dump(mode="json", by_alias=True)


def packed(answer: Model | Lean | None) -> msgspec.Raw | Lean | None:
    """An answer as JSON, made once: no objects in between, which would take as long again."""
    if not isinstance(answer, Model):
        return answer
    return msgspec.Raw(answer.__pydantic_serializer__.to_json(answer, by_alias=True))
