"""Looking at a repository before it is made an app: the worker does it when asked here."""

from datetime import datetime
from typing import Any, Literal, Self

from pydantic import ConfigDict, Field, JsonValue, model_validator

from bot.api.app_views import Branch, CloneUrl, Directory, Repository
from bot.api.envelope import Model
from bot.api.operation import About, Call, Operation
from bot.api.refusals import not_found
from bot.domain.errand import Errand, ErrandKind, ErrandState
from bot.domain.ids import ErrandId
from bot.domain.roles import Verb
from bot.store import apps, errands

TAG = "Apps"
_EXAMPLE: dict[str, JsonValue] = {"repository": "acme/shop", "branch": "main", "rootDirectory": "web"}
_STATUS: dict[ErrandState, Literal["running", "done", "failed"]] = {
    ErrandState.ASKED: "running",
    ErrandState.DONE: "done",
    ErrandState.FAILED: "failed",
}


class DetectRepository(Model):
    """A repository of GitHub's, or any git URL without a password in it."""

    model_config = ConfigDict(json_schema_extra={"examples": [_EXAMPLE]})

    repository: Repository | None = None
    clone_url: CloneUrl | None = None
    branch: Branch | None = None
    """Default: the repository's default branch."""
    root_directory: Directory | None = None
    """Only this directory; default: the top and what lies below."""

    @model_validator(mode="after")
    def _is_one(self) -> Self:
        if self.repository is None and self.clone_url is None:
            raise ValueError("Give a repository or a cloneUrl.")
        if self.repository is not None and self.clone_url is not None:
            raise ValueError("Give a repository or a cloneUrl, not both.")
        return self


class SuggestionView(Model):
    """A directory that can be made an app, and how it would be built."""

    root_directory: str = Field(examples=["web"])
    type: Literal["static"] = Field(default="static", examples=["static"])
    framework: str = Field(examples=["Vite"])
    confidence: str = Field(examples=["certain"])
    """`certain` or `likely`."""
    evidence: list[str] = Field(examples=[["package.json depends on vite ^5"]])
    package_manager: str | None = Field(examples=["npm"])
    install_command: str | None = Field(examples=["npm ci"])
    build_command: str | None = Field(examples=["npm run build"])
    output_directory: str | None = Field(examples=["dist"])
    """The first of these that is there after the build."""


class DetectionError(Model):
    """Why nothing was found."""

    code: str = Field(examples=["repository-unreachable"])
    message: str = Field(examples=["The repository can't be read."])


class DetectionView(Model):
    """A look at a repository."""

    id: int = Field(examples=[7])
    status: Literal["running", "done", "failed"] = Field(examples=["done"])
    branch: str | None = Field(examples=["main"])
    commit: str | None = Field(examples=["5c1f0a3e9d7b2c4e6f8a0b1d3c5e7f9a1b3c5d7e"])
    suggestion: SuggestionView | None
    """What is meant, when that is clear: the top, or the only directory."""
    alternatives: list[SuggestionView]
    error: DetectionError | None = Field(examples=[None])
    created_at: datetime = Field(examples=["2026-01-31T12:00:00Z"])
    finished_at: datetime | None = Field(examples=["2026-01-31T12:00:02Z"])


def _detect(call: Call) -> DetectionView:
    given = call.given(DetectRepository)
    subject = {
        "tenant_id": call.tenant.id
        if call.tenant
        else apps.ensure_default_scope(call.tx, call.writing.now)[0],
        "repository": given.repository,
        "clone_url": given.clone_url,
        "branch": given.branch,
        "root": given.root_directory,
    }
    call.note(given.repository or given.clone_url or "", after={"branch": given.branch})
    errand = errands.ask(call.tx, ErrandKind.DETECT, subject, call.writing.now)
    call.writing.errands.append(errand)
    made = errands.get(call.tx, errand)
    assert made is not None
    return _view(made)


def _read(call: Call) -> DetectionView:
    word = call.path["detection"]
    is_id = word.isascii() and word.isdigit() and len(word) <= 15
    found = errands.get(call.tx, ErrandId(int(word))) if is_id else None
    if found is None or found.kind is not ErrandKind.DETECT or not _is_theirs(call, found):
        raise not_found("detection", word)
    return _view(found)


def _is_theirs(call: Call, errand: Errand) -> bool:
    return call.tenant is None or errand.subject.get("tenant_id") == call.tenant.id


def _view(errand: Errand) -> DetectionView:
    made = [_suggestion(one) for one in errand.result.get("suggestions", [])]
    meant = made[0] if made and (made[0].root_directory == "" or len(made) == 1) else None
    error = None
    if errand.state is ErrandState.FAILED:
        message = " ".join(errand.note.split())
        error = DetectionError(code=errand.result.get("code", "unexpected"), message=message)
    return DetectionView(
        id=errand.id,
        status=_STATUS[errand.state],
        branch=errand.result.get("branch"),
        commit=errand.result.get("commit"),
        suggestion=meant,
        alternatives=[one for one in made if one is not meant],
        error=error,
        created_at=errand.created_at,
        finished_at=errand.finished_at,
    )


def _suggestion(facts: dict[str, Any]) -> SuggestionView:
    return SuggestionView(
        root_directory=facts["root"],
        framework=facts["framework"],
        confidence=facts["confidence"],
        evidence=facts["evidence"],
        package_manager=facts["manager"] or None,
        install_command=facts["install"] or None,
        build_command=facts["build"] or None,
        output_directory=facts["output"].partition(" or ")[0] or None,
    )


OPERATIONS = (
    Operation(
        id="detectApp",
        method="POST",
        path="/apps/detect",
        summary="Look at a repository",
        tag=TAG,
        about=About.TENANT,
        verb=Verb.CONFIGURE,
        handle=_detect,
        answer=DetectionView,
        body=DetectRepository,
        status=202,
        description="Asks the worker to read the newest commit and to tell what can be made an app of it, "
        "and how that would be built. Read `/detections/{id}` until its status is not `running`: seconds.",
    ),
    Operation(
        id="getDetection",
        method="GET",
        path="/detections/{detection}",
        summary="Read what was found in a repository",
        tag=TAG,
        about=About.TENANT,
        verb=Verb.READ,
        handle=_read,
        answer=DetectionView,
        description="Kept for a day. What went wrong is in `error`, by the code of its reason.",
    ),
)
