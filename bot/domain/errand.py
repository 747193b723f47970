"""An errand: something that a person asked for and that only the worker can do, with its result."""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any

from bot.domain.ids import ErrandId


class ErrandKind(StrEnum):
    """What can be asked for, each with its subject and its result.

    `FINISH_SETUP`: sealed, the code that GitHub gave -> the App's `slug` and `page`.
    `LIST_REPOSITORIES`: nothing -> `installations`, as `bot.domain.listing` reads them.
    `MAKE_APP`: `repository_id`, `root` where one was chosen, `tenant_id` unless it is the default one
    -> the app's `slug` and what was detected; or `choices`, one for each directory that can be made an
    app, when that is not clear.
    `SEND_MAIL`: the `template`, whom it is `to`, its `facts`; sealed, the link in it -> nothing.
    `REDELIVER`: the `guid` of a delivery that GitHub has and we don't -> nothing.
    """

    FINISH_SETUP = "finish-setup"
    LIST_REPOSITORIES = "list-repositories"
    MAKE_APP = "make-app"
    SEND_MAIL = "send-mail"
    REDELIVER = "redeliver"


class ErrandState(StrEnum):
    """Where an errand stands."""

    ASKED = "asked"
    DONE = "done"
    FAILED = "failed"


@dataclass(frozen=True)
class Errand:
    """One errand. `note` says in a sentence why it failed; `sealed` is gone once it is over."""

    id: ErrandId
    kind: ErrandKind
    subject: dict[str, Any]
    sealed: bytes | None
    state: ErrandState
    result: dict[str, Any]
    note: str
    created_at: datetime
    finished_at: datetime | None
