"""POST /webhooks/github: read, verify, append to the ledger, answer 202.

Facts of the sender: GitHub gives an answer 10 s, sends at most 25 MB, never sends again by itself,
and shows whatever is not 2xx as a failed delivery. So nothing but "not stored" is an error of ours.
https://docs.github.com/webhooks/using-webhooks/best-practices-for-using-webhooks
"""

import asyncio
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import ParamSpec, TypeVar
from urllib.parse import unquote_to_bytes

import msgspec
from starlette.types import Message, Receive, Scope, Send

from bot import signature
from bot.answers import Answer, refusal
from bot.app_secrets import AppSecrets, Payload
from bot.clock import utc_now
from bot.domain.ids import AppId, DeliveryId
from bot.github_app import MadeApp
from bot.ledger import Ledger, NotStoredError
from bot.log import logger
from bot.store import deliveries
from bot.store.deliveries import NewDelivery
from bot.store.engine import Engine, reading

P = ParamSpec("P")
T = TypeVar("T")

MIB = 1024 * 1024
MAX_BODY = 25 * MIB
MAX_READING = 256 * MIB
"""Most bytes of bodies that are being read at once, by all requests."""
READ_SECONDS = 15.0
"""How long a body may take; GitHub itself gives up after 10 s."""
# From here on, hashing and parsing would hold up the event loop for milliseconds: a thread does it.
_LARGE = MIB

# GitHub's form has one field.
_FORM_FIELDS = 20

_WORD = re.compile(rb"[A-Za-z0-9][A-Za-z0-9._:-]{0,99}")
# A number of GitHub's, so that nobody takes the place of deliveries of our own, such as the sweep's.
_HOOK = re.compile(rb"[0-9]{0,20}")


class RefusedError(Exception):
    """The request is answered with that refusal."""

    def __init__(self, answer: Answer) -> None:
        self.answer = answer
        super().__init__(answer.status)


class GoneError(Exception):
    """The client went away in the middle of its body."""


@dataclass(frozen=True)
class Words:
    """What the headers say."""

    event: str
    guid: str
    hook_id: str


class Webhook:
    """The endpoint, as an ASGI application of its own: Starlette's request would cost a fifth of the time."""

    def __init__(
        self,
        ledger: Ledger,
        engine: Engine,
        secrets: Sequence[bytes],
        app_secrets: AppSecrets,
        *,
        made_app: MadeApp | None = None,
        read_seconds: float = READ_SECONDS,
    ) -> None:
        self._ledger = ledger
        self._engine = engine
        self._secrets = tuple(secrets)
        self._app_secrets = app_secrets
        self._made_app = made_app
        self._read_seconds = read_seconds
        self._reading = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        try:
            answer = await self._receive(scope, receive)
        except RefusedError as refused:
            answer = refused.answer
        except GoneError:
            return
        except Exception as error:  # noqa: BLE001 - whatever failed, GitHub is told
            logger.error("a delivery was not taken", error=repr(error))
            answer = refusal(500, "unexpected", "Internal Server Error")
        await answer.send(send)

    async def _receive(self, scope: Scope, receive: Receive) -> Answer:
        if scope["method"] != "POST":
            raise _refused(405, "method-not-allowed", "Method Not Allowed", headers={"Allow": "POST"})
        headers = dict(scope["headers"])
        body = await self._read(headers, receive)
        try:
            return await self._take(headers, body)
        finally:
            self._reading -= len(body)

    async def _take(self, headers: dict[bytes, bytes], body: bytes) -> Answer:
        if not body:
            raise _no_body("the request has no body")
        payload, app = await self._verify(headers, body)
        words = _words(headers)
        if words.event == "ping":
            return Answer(200, {"message": "pong", "delivery": words.guid})
        new = NewDelivery(words.hook_id, words.guid, words.event, payload, utc_now(), verified_app_id=app)
        return await self._append(new)

    async def _read(self, headers: dict[bytes, bytes], receive: Receive) -> bytes:
        """The raw body; what it counts for in `_reading` is for the caller to give back."""
        length = headers.get(b"content-length", b"0")
        if not length.isdigit() or len(length) > 12:
            raise _refused(400, "content-length", "Bad Request")
        if int(length) > MAX_BODY:
            raise _too_large()
        message = await receive()
        if message["type"] == "http.request" and not message.get("more_body", False):
            body: bytes = message["body"]
            if len(body) > MAX_BODY:
                raise _too_large()
            self._reserve(len(body))
            return body
        try:
            async with asyncio.timeout(self._read_seconds):
                return await self._read_parts(message, receive)
        except TimeoutError:
            raise _refused(408, "too-slow", "Request Timeout", headers={"Connection": "close"}) from None

    async def _read_parts(self, message: Message, receive: Receive) -> bytes:
        parts: list[bytes] = []
        size = 0
        try:
            while message["type"] == "http.request" and size <= MAX_BODY:
                part: bytes = message.get("body", b"")
                self._reserve(len(part))
                size += len(part)
                parts.append(part)
                if not message.get("more_body", False):
                    break
                message = await receive()
            _check_arrival(message, size)
        except BaseException:
            self._reading -= size
            raise
        return b"".join(parts)

    def _reserve(self, size: int) -> None:
        if self._reading + size > MAX_READING:
            raise _not_stored("too many bodies are being read", 10)
        self._reading += size

    async def _verify(self, headers: dict[bytes, bytes], body: bytes) -> tuple[bytes, AppId | None]:
        """The payload, and the app whose own secret made the signature when that was none of ours."""
        given = headers.get(signature.HEADER, b"")
        if await self._is_ours(body, given):
            payload = await _aside(body, _payload, headers, body)
            await _aside(payload, _claims, payload)
            return payload, None
        try:
            payload = await _aside(body, _payload, headers, body)
            claims = await _aside(payload, _claims, payload)
        except RefusedError:
            raise _unauthorized() from None
        app = await self._app_secrets.verifying(body, given, claims)
        if app is None:
            raise _unauthorized()
        return payload, app

    async def _is_ours(self, body: bytes, given: bytes) -> bool:
        """Whether a secret of the settings, or that of the App that was made by a click, signed the body."""
        made = self._made_app.hook_secrets() if self._made_app else ()
        if await _aside(body, signature.matching, body, given, (*self._secrets, *made)) is not None:
            return True
        if self._made_app is None or self._made_app.is_fresh:
            return False
        newer = await asyncio.to_thread(self._made_app.read_hook_secrets)
        return newer != made and await _aside(body, signature.matching, body, given, newer) is not None

    async def _append(self, new: NewDelivery) -> Answer:
        try:
            appended = await self._ledger.append(new)
        except NotStoredError as error:
            raise _not_stored(error.reason, error.retry_after) from None
        content: dict[str, object] = {
            "delivery": new.guid,
            "event": new.event,
            "duplicate": appended.duplicate,
        }
        if appended.duplicate:
            content["decision"] = await self._first_decision(appended.id)
        return Answer(202, content)

    async def _first_decision(self, delivery: DeliveryId) -> dict[str, str] | None:
        try:
            return await asyncio.to_thread(_read_first_decision, self._engine, delivery)
        except Exception as error:  # noqa: BLE001 - the delivery is stored: its answer stays 202
            logger.warning("first decision not read", delivery=delivery, error=repr(error))
            return None


def _read_first_decision(engine: Engine, delivery: DeliveryId) -> dict[str, str] | None:
    with reading(engine) as tx:
        decided = deliveries.decisions_of(tx, delivery)
    if not decided:
        return None
    return {"kind": decided[0].kind, "code": decided[0].code, "sentence": decided[0].sentence}


def _check_arrival(last: Message, size: int) -> None:
    if last["type"] != "http.request":
        raise GoneError
    if size > MAX_BODY:
        raise _too_large()


async def _aside(body: bytes, work: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
    """Do a piece of work on a body, in a thread when the body is large."""
    if len(body) < _LARGE:
        return work(*args, **kwargs)
    return await asyncio.to_thread(work, *args, **kwargs)


def _words(headers: dict[bytes, bytes]) -> Words:
    event = headers.get(b"x-github-event", b"")
    guid = headers.get(b"x-github-delivery", b"")
    hook_id = headers.get(b"x-github-hook-id", b"")
    if not _WORD.fullmatch(event):
        raise _refused(400, "no-event", "Bad Request", detail="X-GitHub-Event is missing or malformed")
    if not _WORD.fullmatch(guid):
        raise _refused(400, "no-delivery", "Bad Request", detail="X-GitHub-Delivery is missing or malformed")
    if not _HOOK.fullmatch(hook_id):
        raise _refused(400, "hook-id", "Bad Request", detail="X-GitHub-Hook-ID is malformed")
    return Words(event.decode(), guid.decode(), hook_id.decode())


def _payload(headers: dict[bytes, bytes], body: bytes) -> bytes:
    """The JSON text: the body, or the field `payload` of a form."""
    kind = headers.get(b"content-type", b"application/json").split(b";")[0].strip().lower()
    if kind == b"application/json" or kind.endswith(b"+json"):
        return body
    if kind != b"application/x-www-form-urlencoded":
        detail = "the content type is neither JSON nor a form"
        raise _refused(400, "content-type", "Bad Request", detail=detail)
    for field in body.split(b"&", _FORM_FIELDS):
        name, _, value = field.partition(b"=")
        if name == b"payload" and value:
            return unquote_to_bytes(value.replace(b"+", b" "))
    raise _no_body("the form has no field 'payload'")


def _claims(payload: bytes) -> Payload:
    try:
        return msgspec.json.decode(payload, type=Payload)
    except (msgspec.DecodeError, RecursionError):
        raise _no_body("the payload is not a JSON object") from None


def _refused(
    status: int,
    code: str,
    message: str,
    *,
    detail: str | None = None,
    headers: Mapping[str, str] | None = None,
) -> RefusedError:
    return RefusedError(refusal(status, code, message, detail=detail, headers=headers))


def _unauthorized() -> RefusedError:
    return _refused(401, "unauthorized", "Unauthorized", detail="no secret of ours made this signature")


def _no_body(detail: str) -> RefusedError:
    return _refused(400, "no-body", "No body", detail=detail)


def _too_large() -> RefusedError:
    return _refused(413, "too-large", "Payload Too Large", detail="a delivery has at most 25 MiB")


def _not_stored(detail: str, retry_after: int) -> RefusedError:
    headers = {"Retry-After": str(retry_after)}
    return _refused(503, "not-stored", "Service Unavailable", detail=detail, headers=headers)
