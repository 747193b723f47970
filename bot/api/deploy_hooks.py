"""Deploy hooks: addresses that bring a branch live when somebody sends a POST there."""

from datetime import datetime
from typing import Annotated, Any

from pydantic import Field

from bot.api.app_views import Branch, Line
from bot.api.apps import known_environment, refuse_archived
from bot.api.envelope import Model
from bot.api.operation import About, Call, Operation, Page, Paging
from bot.api.refusals import not_found
from bot.domain.environment import PRODUCTION
from bot.domain.roles import Verb
from bot.minted import HOOK, mint
from bot.store import deploy_hooks
from bot.store.deploy_hooks import Hook, NewHook

TAG = "Deploy hooks"


class HookView(Model):
    """A deploy hook, without what is secret of its address."""

    id: int = Field(examples=[6])
    name: str = Field(examples=["the CMS"])
    environment: str = Field(examples=["production"])
    branch: str | None = Field(examples=["main"])
    """Null: the environment's branch, else the production branch."""
    begins: str = Field(examples=["slh_5c1f0a3e9d7b"])
    """How the last part of its address begins, to tell hooks apart."""
    created_by: str = Field(examples=["mona@example.org"])
    created_at: datetime = Field(examples=["2026-01-31T11:00:00Z"])
    last_used_at: datetime | None = Field(examples=[None])


class CreatedHook(HookView):
    """A new deploy hook."""

    url: str = Field(
        examples=[
            "https://slipway.example.org/hooks/slh_5c1f0a3e9d7b_0123456789012345678901234567890123456789012"
        ]
    )
    """Its address, shown this once. Whoever knows it can deploy."""


class CreateHook(Model):
    """What a deploy hook brings where."""

    name: Annotated[Line, Field(min_length=1, max_length=100, examples=["the CMS"])]
    environment: Annotated[Line, Field(min_length=1, max_length=100, examples=["production"])] = PRODUCTION
    branch: Branch | None = None
    """Null: the environment's branch, else the production branch."""


def _list(call: Call) -> Page:
    found = deploy_hooks.of_app(call.tx, call.of_app.id)
    part = call.asked(Paging).part("")
    rows = found[part.offset : part.offset + part.limit]
    return Page([HookView(**_view(one)) for one in rows], len(found))


def _create(call: Call) -> CreatedHook:
    app, given, minted = call.of_app, call.given(CreateHook), mint(HOOK)
    refuse_archived(app)
    name = known_environment(call, given.environment)
    new = NewHook(
        app_id=app.id,
        name=given.name,
        environment=name,
        branch=given.branch,
        handle=minted.handle,
        digest=minted.digest,
        created_by=call.principal.name,
    )
    made = deploy_hooks.insert(call.tx, new, call.writing.now)
    call.note(f"deploy hook {given.name}", after=given.model_dump())
    return CreatedHook(**_view(made), url=f"{call.services.settings.url}/hooks/{minted.text}")


def _revoke(call: Call) -> None:
    word = call.path["hook"]
    for one in deploy_hooks.of_app(call.tx, call.of_app.id):
        if str(one.id) == word:
            call.note(f"deploy hook {one.name}", before={"environment": one.environment})
            deploy_hooks.revoke(call.tx, one.id, call.writing.now)
            return
    raise not_found("deploy hook", word)


def _view(one: Hook) -> dict[str, Any]:
    return {**{name: getattr(one, name) for name in _COPIED}, "begins": f"{HOOK}_{one.handle}"}


_COPIED = "id name environment branch created_by created_at last_used_at".split()


def _of_app(**more: Any) -> Operation:
    return Operation(tag=TAG, about=About.APP, verb=Verb.MANAGE, **more)


OPERATIONS = (
    _of_app(
        id="listDeployHooks",
        method="GET",
        path="/apps/{app}/deploy-hooks",
        summary="List an app's deploy hooks",
        handle=_list,
        answer=HookView,
        lists=True,
        query=Paging,
    ),
    _of_app(
        id="createDeployHook",
        method="POST",
        path="/apps/{app}/deploy-hooks",
        summary="Make a deploy hook",
        handle=_create,
        answer=CreatedHook,
        body=CreateHook,
        status=201,
        description="For what can call an address and nothing else. A POST there deploys the head of the "
        "branch and answers 202. The address is shown this once.",
        refusals={409: "The app is archived.", 422: "There is no such environment."},
    ),
    _of_app(
        id="revokeDeployHook",
        method="DELETE",
        path="/apps/{app}/deploy-hooks/{hook}",
        summary="Revoke a deploy hook",
        handle=_revoke,
    ),
)
