"""Which installations of the GitHub App an organisation may use."""

from datetime import datetime
from typing import Annotated, Any

from pydantic import Field

from bot.api.app_views import Line
from bot.api.envelope import Model
from bot.api.members import named_tenant
from bot.api.operation import About, Call, Operation, Page, Paging
from bot.api.refusals import not_found
from bot.domain.roles import Verb
from bot.store import installations
from bot.store.installations import Binding

TAG = "GitHub"


class InstallationView(Model):
    """An installation that an organisation may use."""

    installation_id: int = Field(examples=[51234567])
    """GitHub's number."""
    account: str = Field(examples=["acme"])
    """Who installed the App, where that is known."""
    created_by: str = Field(examples=["mona@example.org"])
    created_at: datetime = Field(examples=["2026-01-31T11:00:00Z"])


class BindInstallation(Model):
    """Which installation."""

    installation_id: Annotated[int, Field(ge=1, le=2**62, examples=[51234567])]
    account: Annotated[Line, Field(max_length=100, examples=["acme"])] = ""


def _list(call: Call) -> Page:
    found = installations.of_tenant(call.tx, named_tenant(call).id)
    part = call.asked(Paging).part("")
    return Page([_view(one) for one in found[part.offset : part.offset + part.limit]], len(found))


def _bind(call: Call) -> InstallationView:
    given, who = call.given(BindInstallation), call.principal.name
    call.note(f"installation {given.installation_id}", after={"account": given.account})
    made = installations.bind(
        call.tx,
        given.installation_id,
        named_tenant(call).id,
        account=given.account,
        created_by=who,
        now=call.writing.now,
    )
    return _view(made)


def _unbind(call: Call) -> None:
    word, tenant = call.path["installation"], named_tenant(call).id
    is_id = word.isascii() and word.isdigit() and len(word) <= 18
    found = installations.find(call.tx, int(word), tenant) if is_id else None
    if found is None:
        raise not_found("installation", word)
    call.note(f"installation {found.installation_id}", before={"account": found.account})
    installations.unbind(call.tx, found.installation_id, tenant)


def _view(one: Binding) -> InstallationView:
    return InstallationView(
        installation_id=one.installation_id,
        account=one.account,
        created_by=one.created_by,
        created_at=one.created_at,
    )


def _about(**more: Any) -> Operation:
    return Operation(tag=TAG, about=About.TENANT, **more)


OPERATIONS = (
    _about(
        id="listInstallations",
        method="GET",
        path="/github/installations",
        summary="List installations of the GitHub App",
        verb=Verb.READ,
        handle=_list,
        answer=InstallationView,
        lists=True,
        query=Paging,
        description="Those that are bound to the organisation. One that is bound to none is the organisation "
        "`default`'s.",
    ),
    _about(
        id="bindInstallation",
        method="POST",
        path="/github/installations",
        summary="Let an organisation use an installation",
        verb=Verb.OPERATE,
        handle=_bind,
        answer=InstallationView,
        body=BindInstallation,
        status=201,
        description="For the instance's operator. Who installed the App on their own account binds it in the "
        "console. Only apps of such an organisation are built with the sign-in of that installation.",
    ),
    _about(
        id="unbindInstallation",
        method="DELETE",
        path="/github/installations/{installation}",
        summary="Take an installation from an organisation",
        verb=Verb.MANAGE,
        handle=_unbind,
    ),
)
