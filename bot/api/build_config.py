"""How an app is built and run: what its people set, which wins over slipway.toml and detection."""

from typing import Annotated, Any, Literal

from pydantic import AfterValidator, Field

from bot.api.app_views import Command, Directory
from bot.api.envelope import Model
from bot.api.operation import About, Call, Operation
from bot.domain.roles import Verb
from bot.domain.variable import MAX_COUNT, MAX_NAME, name_problem
from bot.store import apps

TAG = "Apps"
_FIELDS = ("install_command", "build_command", "output_directory", "root_directory", "required_variables")


def _name(value: str) -> str:
    problem = name_problem(value)
    if problem is not None:
        raise ValueError(problem)
    return value


VariableName = Annotated[str, AfterValidator(_name), Field(max_length=MAX_NAME, examples=["API_URL"])]


class BuildConfigView(Model):
    """What is set. Null: slipway.toml says it, or it is detected; `slipway config show` tells which."""

    install_command: str | None = Field(examples=["npm ci"])
    build_command: str | None = Field(examples=["npm run build"])
    output_directory: str | None = Field(examples=["dist"])
    root_directory: str = Field(examples=["web"])
    required_variables: list[str] | None = Field(examples=[["API_URL"]])
    """Names of variables without which a deployment fails before anything is built."""
    node_version: str | None = Field(default=None, examples=[None])
    """Always null: builds use the machine's."""
    package_manager: str | None = Field(default=None, examples=[None])
    """Always null: the lock file tells it."""


class UpdateBuildConfig(Model):
    """What is left out stays. Null means: read or detect it. An empty command: run none."""

    install_command: Command | Literal[""] | None = None
    build_command: Command | Literal[""] | None = None
    output_directory: Directory | None = None
    root_directory: Directory = ""
    required_variables: Annotated[list[VariableName], Field(max_length=MAX_COUNT)] | None = None
    """Instead of those that slipway.toml names (`build.required_variables`); empty: none."""


class RuntimeConfigView(Model):
    """How an app runs."""

    runtime_type: Literal["static"] = Field(default="static", examples=["static"])


class UpdateRuntimeConfig(Model):
    """How an app is to run: files that the edge serves, so far."""

    runtime_type: Literal["static"] = Field(default="static", examples=["static"])


def _view(call: Call) -> BuildConfigView:
    app = apps.get(call.tx, call.of_app.id)
    return BuildConfigView(**{name: getattr(app, name) for name in _FIELDS})


def _update(call: Call) -> BuildConfigView:
    app, given = call.of_app, call.given(UpdateBuildConfig)
    changes = given.model_dump(include=given.model_fields_set)
    call.note(f"build configuration of {app.slug}", {name: getattr(app, name) for name in changes}, changes)
    apps.change(call.tx, app.id, changes)
    return _view(call)


def _runtime(_call: Call) -> RuntimeConfigView:
    return RuntimeConfigView()


def _about(**more: Any) -> Operation:
    return Operation(tag=TAG, about=About.APP, **more)


OPERATIONS = (
    _about(
        id="getBuildConfig",
        method="GET",
        path="/apps/{app}/build-config",
        summary="Read how an app is built",
        verb=Verb.READ,
        handle=_view,
        answer=BuildConfigView,
    ),
    _about(
        id="updateBuildConfig",
        method="PATCH",
        path="/apps/{app}/build-config",
        summary="Change how an app is built",
        verb=Verb.CONFIGURE,
        handle=_update,
        answer=BuildConfigView,
        body=UpdateBuildConfig,
        description="Takes effect with the next deployment.",
    ),
    _about(
        id="getRuntimeConfig",
        method="GET",
        path="/apps/{app}/runtime-config",
        summary="Read how an app runs",
        verb=Verb.READ,
        handle=_runtime,
        answer=RuntimeConfigView,
    ),
    _about(
        id="updateRuntimeConfig",
        method="PATCH",
        path="/apps/{app}/runtime-config",
        summary="Change how an app runs",
        verb=Verb.CONFIGURE,
        handle=_runtime,
        answer=RuntimeConfigView,
        body=UpdateRuntimeConfig,
        description="`static` alone is possible: running apps are not built yet.",
    ),
)
