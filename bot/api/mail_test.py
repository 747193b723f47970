"""A test of the mail server."""

import time
from email.utils import parseaddr
from typing import Annotated

from pydantic import Field

from bot.api.envelope import Model
from bot.api.operation import About, Call, Operation
from bot.api.refusals import Code, RefusalError
from bot.domain.errand import ErrandKind, ErrandState
from bot.domain.ids import ErrandId
from bot.domain.roles import Verb
from bot.store import errands
from bot.store.engine import Engine, reading

WAIT_SECONDS = 25.0
_LOOK_SECONDS = 0.05
_PAUSE_SECONDS = 5
_TEMPLATE = "test"


class MailTested(Model):
    """The mail server took the mail."""

    success: Annotated[bool, Field(examples=[True])] = True
    message: Annotated[str, Field(examples=["Test email sent"])] = "Test email sent"


def _test(call: Call) -> MailTested:
    settings, now = call.services.settings, call.writing.now
    if settings.smtp_url is None:
        raise RefusalError(400, Code.MAIL_FAILED, "SMTP not configured", is_bare=True)
    last = errands.newest(call.tx, ErrandKind.SEND_MAIL)
    is_test = last is not None and last.subject.get("template") == _TEMPLATE
    if last is not None and is_test and (now - last.created_at).total_seconds() < _PAUSE_SECONDS:
        message = "A test mail was sent a moment ago. Try again in some seconds."
        headers = {"Retry-After": str(_PAUSE_SECONDS)}
        raise RefusalError(429, Code.RATE_LIMITED, message, headers=headers)
    whom = call.principal.name if call.principal.user_id else parseaddr(settings.mail_sender)[1]
    subject = {"template": _TEMPLATE, "to": whom, "facts": {"by": call.principal.name}}
    errand = errands.ask(call.tx, ErrandKind.SEND_MAIL, subject, now)
    call.writing.errands.append(errand)
    call.note(f"mail to {whom}")
    engine = call.services.lifecycle.engine
    call.finish = lambda: _wait(engine, errand)
    return MailTested()


def _wait(engine: Engine, errand: ErrandId) -> MailTested:
    """The worker sends it, and tells what came of that."""
    until = time.monotonic() + WAIT_SECONDS
    while time.monotonic() < until:
        with reading(engine) as tx:
            found = errands.get(tx, errand)
        if found is not None and found.state is ErrandState.DONE:
            return MailTested()
        if found is not None and found.state is ErrandState.FAILED:
            raise RefusalError(400, Code.MAIL_FAILED, found.note, is_bare=True)
        time.sleep(_LOOK_SECONDS)
    message = "The worker did not send the mail in time. Look at `slipway doctor`."
    raise RefusalError(503, Code.NOT_NOW, message, is_bare=True)


OPERATIONS = (
    Operation(
        id="testEmail",
        method="POST",
        path="/settings/email/test",
        summary="Send a test mail",
        tag="Instance",
        about=About.INSTANCE,
        verb=Verb.MANAGE,
        handle=_test,
        answer=MailTested,
        bare=True,
        description="To you; to the sender's own address for the instance's operator. Answers without the "
        "envelope when the mail was sent, or could not be.",
        refusals={400: "No mail server is set, or it did not take the mail.", 503: "No worker sent it."},
    ),
)
