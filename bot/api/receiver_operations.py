"""The operations that webhooks and channels have in common."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

from bot.api import outgoing
from bot.api.envelope import Model
from bot.api.operation import About, Call, Operation, Page
from bot.api.outgoing import TAG, MessageQuery, MessageView, ReceiverQuery, ReceiverView
from bot.domain.outgoing import Receiver, ReceiverKind
from bot.domain.roles import Verb


@dataclass(frozen=True)
class Sort:
    """One of the two: how it is shown, made and changed. `changes` gives columns by name.

    `sent` is what its messages are called, in addresses; `tested` says what a test does.
    """

    kind: ReceiverKind
    view: type[ReceiverView]
    show: Callable[[Call, Receiver], ReceiverView]
    create: Callable[[Call], ReceiverView]
    created: type[ReceiverView]
    creating: type[Model]
    changes: Callable[[Call, Model], dict[str, Any]]
    changing: type[Model]
    sent: str
    tested: str
    made: str = ""

    @property
    def path(self) -> str:
        """The address of one."""
        return f"/{self.kind}s/{{{self.kind}}}"


def about(**more: Any) -> Operation:
    """An operation on receivers of an organisation."""
    return Operation(tag=TAG, about=About.TENANT, verb=Verb.CONFIGURE, **more)


def operations(sort: Sort) -> tuple[Operation, ...]:
    """List, make, read, change, delete and test them, and list what was sent."""
    return (*_of_all(sort), *_of_one(sort))


def _list(sort: Sort, call: Call) -> Page:
    rows, total = outgoing.listed(call, sort.kind)
    return Page([sort.show(call, one) for one in rows], total)


def _read(sort: Sort, call: Call) -> ReceiverView:
    return sort.show(call, outgoing.named(call, sort.kind))


def _update(sort: Sort, call: Call) -> ReceiverView:
    assert call.body is not None
    one = outgoing.named(call, sort.kind)
    return sort.show(call, outgoing.update(call, one, sort.changes(call, call.body)))


def _delete(sort: Sort, call: Call) -> None:
    outgoing.remove(call, outgoing.named(call, sort.kind))


def _test(sort: Sort, call: Call) -> MessageView:
    return outgoing.test(call, outgoing.named(call, sort.kind))


def _sent(sort: Sort, call: Call) -> Page:
    return outgoing.messages(call, outgoing.named(call, sort.kind))


def _of_all(sort: Sort) -> tuple[Operation, ...]:
    name, path = sort.kind.title(), f"/{sort.kind}s"
    return (
        about(
            id=f"list{name}s",
            method="GET",
            path=path,
            summary=f"List {sort.kind}s",
            handle=partial(_list, sort),
            answer=sort.view,
            lists=True,
            query=ReceiverQuery,
        ),
        about(
            id=f"create{name}",
            method="POST",
            path=path,
            summary=f"Make a {sort.kind}",
            handle=sort.create,
            answer=sort.created,
            body=sort.creating,
            status=201,
            description=sort.made,
            refusals={
                409: "There are too many.",
                422: "There is no such project or app, or nothing may be sent there.",
            },
        ),
    )


def _of_one(sort: Sort) -> tuple[Operation, ...]:
    name, what = sort.kind.title(), f"a {sort.kind}"
    return (
        about(
            id=f"get{name}",
            method="GET",
            path=sort.path,
            summary=f"Read {what}",
            handle=partial(_read, sort),
            answer=sort.view,
        ),
        about(
            id=f"update{name}",
            method="PATCH",
            path=sort.path,
            summary=f"Change {what}",
            handle=partial(_update, sort),
            answer=sort.view,
            body=sort.changing,
            refusals={422: "Nothing may be sent there."},
            description="With `enabled: true` one that was switched off is as good as new.",
        ),
        about(
            id=f"delete{name}",
            method="DELETE",
            path=sort.path,
            summary=f"Delete {what}",
            handle=partial(_delete, sort),
        ),
        *_messages(sort),
    )


def _messages(sort: Sort) -> tuple[Operation, ...]:
    name, what = sort.kind.title(), f"a {sort.kind}"
    return (
        about(
            id=f"test{name}",
            method="POST",
            path=f"{sort.path}/test",
            summary=f"Test {what}",
            handle=partial(_test, sort),
            answer=MessageView,
            status=201,
            description=sort.tested,
            refusals={409: "It is switched off."},
        ),
        about(
            id=f"list{name}{sort.sent.title()}",
            method="GET",
            path=f"{sort.path}/{sort.sent}",
            summary=f"List what was sent to {what}",
            handle=partial(_sent, sort),
            answer=MessageView,
            lists=True,
            query=MessageQuery,
        ),
    )
