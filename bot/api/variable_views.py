"""What variables look like in requests and answers."""

from datetime import datetime
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field

from bot.api.app_views import Line
from bot.api.envelope import Model
from bot.api.operation import Paging
from bot.domain.variable import MAX_COUNT, MAX_NAME, MAX_TOTAL, MAX_VALUE

AppliesTo = Literal["all", "production", "branch", "preview"]
Name = Annotated[Line, Field(min_length=1, max_length=MAX_NAME, examples=["API_URL"])]


class Setting(Model):
    """A variable as it is wanted. What is left out stays as it is, or is decided by the name."""

    value: Annotated[str, Field(max_length=MAX_VALUE, examples=["https://api.example.org"])] | None = None
    """Left out: the present value stays, which secrets need. Null: the variable is unset."""
    secret: bool | None = Field(default=None, examples=[False])
    """A secret is never shown, and kept out of logs. Left out: names such as `..._TOKEN` are secrets."""
    build: bool | None = Field(default=None, examples=[True])
    """Whether builds are given it; at first they are."""
    runtime: bool | None = Field(default=None, examples=[True])
    """Whether a running app is to be given it; at first it is. It is stored and listed, and
    given to nothing yet: releases are files so far, and no app runs."""
    applies_to: AppliesTo | None = Field(default=None, examples=["production"])
    """In which kinds of environments it counts. Default: what the request says."""


def _listed(given: Any) -> Any:
    if given is None or isinstance(given, list):
        return given  # pyright: ignore[reportUnknownVariableType]  whatever it is, it is validated next
    if isinstance(given, int | float):
        # Without the value: it may be a secret.
        raise ValueError("Values are texts: put it in quotes.")  # noqa: TRY004 pydantic's way
    return [{"value": given} if isinstance(given, str) else given]


Settings = Annotated[
    Annotated[list[Setting], Field(min_length=1)] | None,
    BeforeValidator(_listed, json_schema_input_type=str | Setting | list[Setting] | None),
]


class ChangeVariables(Model):
    """Variables by name: a value, or a value with more, or several for several kinds of environments."""

    variables: Annotated[
        dict[str, Settings],
        Field(
            max_length=4 * MAX_COUNT,
            examples=[{"API_URL": "https://api.example.org", "API_TOKEN": {"value": "...", "secret": True}}],
        ),
    ]
    applies_to: AppliesTo | None = Field(default=None, examples=["production"])
    """In which kinds of environments those count that do not say so themselves. Default: `production`,
    so that no preview is given anything by accident; of one environment's own there is nothing to say."""
    revision: Annotated[int, Field(ge=0, lt=2**53)] | None = Field(default=None, examples=[12])
    """The revision that you read: refused with 409 when somebody changed the scope since."""


class ImportVariables(Model):
    """The text of a `.env` file."""

    text: Annotated[str, Field(max_length=2 * MAX_TOTAL, examples=["API_URL=https://api.example.org\n"])]
    """Lines `NAME=value`, with quotes and comments; nothing in it is expanded."""
    applies_to: AppliesTo | None = Field(default=None, examples=["production"])
    """Default: `production`."""
    secret: bool | None = Field(default=None, examples=[None])
    """Default: decided by each name."""
    build: bool | None = Field(default=None, examples=[True])
    runtime: bool | None = Field(default=None, examples=[True])
    replaces: bool = Field(default=False, examples=[False])
    """Whether the scope has no other variables afterwards."""
    revision: Annotated[int, Field(ge=0, lt=2**53)] | None = Field(default=None, examples=[12])


class RevealVariable(Model):
    """Whose value is wanted."""

    name: Name
    applies_to: AppliesTo | None = Field(default=None, examples=["production"])
    """Needed when the name is set for several kinds of environments."""


class CloneVariables(Model):
    """Where from."""

    source: Annotated[Line, Field(min_length=1, max_length=100, examples=["staging"])] = Field(alias="from")
    """Another environment of the app, whose own variables are set here, too."""
    include_secrets: bool = Field(default=False, examples=[False])


class VariableView(Model):
    """A variable."""

    name: str = Field(examples=["API_URL"])
    value: str | None = Field(examples=["https://api.example.org"])
    """Null for secrets, and for callers who may not change variables."""
    secret: bool = Field(examples=[False])
    build: bool = Field(examples=[True])
    runtime: bool = Field(examples=[True])
    """For a running app, of which there are none yet."""
    applies_to: AppliesTo = Field(examples=["production"])
    version: int = Field(examples=[3])
    """How often it was changed."""
    changed_by: str = Field(examples=["mona@example.org"])
    changed_at: datetime = Field(examples=["2026-01-31T12:00:00Z"])


class VariablesView(Model):
    """The variables of one scope."""

    scope: Literal["tenant", "project", "app", "environment"] = Field(examples=["app"])
    revision: int = Field(examples=[12])
    """Grows with each change; send it with yours, so that none gets lost."""
    variables: list[VariableView]


class PendingView(Model):
    """An environment that shows a release built with other values."""

    app: str = Field(examples=["shop"])
    environment: str = Field(examples=["production"])
    names: list[str] = Field(examples=[["API_URL"]])


class ChangedVariables(VariablesView):
    """The variables of one scope after a change. Nothing is deployed by it."""

    changed: list[str] = Field(examples=[["API_URL"]])
    """The names that are not as they were."""
    pending: list[PendingView]
    """Where it takes effect only with the next build: deploy again to apply it."""
    left_out: list[str] = Field(default=[], examples=[[]])
    """Secrets that were not cloned."""
    notice: str | None = Field(examples=["Deploy again to apply it: shop/production."])


class EffectiveVariable(VariableView):
    """A variable that counts in an environment, at build or run time as `build` and `runtime` say."""

    scope: Literal["tenant", "project", "app", "environment"] = Field(examples=["app"])
    """Where it comes from: narrower wins."""
    hides: list[str] = Field(examples=[["tenant"]])
    """Scopes whose variable of that name does not count because of this one."""


class EffectiveView(Model):
    """All that counts in an environment."""

    environment: str = Field(examples=["production"])
    kind: Literal["production", "branch", "preview"] = Field(examples=["production"])
    withheld: bool = Field(examples=[False])
    """Whether builds are given none of them: those of a fork are, once it was approved with secrets."""
    pending: list[str] = Field(examples=[["API_URL"]])
    """Names whose values the live release was not built with."""
    missing: list[str] = Field(examples=[[]])
    """Names that builds need and that do not count here (`required_variables`)."""
    variables: list[EffectiveVariable]


class RevealedVariable(Model):
    """A value. That it was looked at stands in the audit log."""

    name: str = Field(examples=["API_TOKEN"])
    applies_to: AppliesTo = Field(examples=["production"])
    version: int = Field(examples=[3])
    value: str = Field(examples=["..."])


class VariableChangeView(Model):
    """What became of a variable; old values are not kept."""

    name: str = Field(examples=["API_URL"])
    applies_to: AppliesTo = Field(examples=["production"])
    version: int = Field(examples=[3])
    action: Literal["set", "unset", "revealed"] = Field(examples=["set"])
    what: str = Field(examples=["value"])
    """Of a change: what was changed, or `new`."""
    by: str = Field(examples=["mona@example.org"])
    at: datetime = Field(examples=["2026-01-31T12:00:00Z"])


class ChangesQuery(Paging):
    """Which changes."""

    name: Name | None = None
    """Those of one variable."""
