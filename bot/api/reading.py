"""Reads what a request brings: its body within a limit, its parameters, its id; and checks each field."""

import asyncio
import json
import re
from typing import Any
from uuid import uuid4

import msgspec
from pydantic import ValidationError
from starlette.requests import ClientDisconnect, Request

from bot.api.envelope import Model
from bot.api.problems import problems_of
from bot.api.refusals import Code, FieldProblem, RefusalError, invalid

MAX_BODY = 1024 * 1024
BODY_SECONDS = 60
_REQUEST_ID = re.compile(r"[A-Za-z0-9._-]{8,64}")
_KEY = re.compile(r"[\x21-\x7e]{1,200}")
_WORD = re.compile(r"[^\x00-\x20\x7f]{1,200}")


class NoParameters(Model):
    """For operations that take none."""


def request_id_of(request: Request) -> str:
    """The id that the caller gave, when it can be one; else a new one."""
    given = request.headers.get("x-request-id", "")
    return given if _REQUEST_ID.fullmatch(given) else uuid4().hex


async def body_of(request: Request, *, seconds: float = BODY_SECONDS) -> bytes:
    """The whole body. Raises `RefusalError` 408 or 413, or 400 when its sender is gone."""
    declared = request.headers.get("content-length", "")
    if declared.isascii() and declared.isdigit() and (len(declared) > 15 or int(declared) > MAX_BODY):
        raise _too_large()
    try:
        async with asyncio.timeout(seconds):
            return await _read(request)
    except TimeoutError:
        message = f"The body did not come within {seconds:.0f} seconds. Send it again."
        raise RefusalError(408, Code.TOO_SLOW, message, headers={"Connection": "close"}) from None
    except ClientDisconnect:
        # Nobody is there to be told; the log need not have it as an error of ours.
        raise RefusalError(400, Code.INVALID_JSON, "The body is cut off.") from None


async def _read(request: Request) -> bytes:
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        if len(body) > MAX_BODY:
            raise _too_large()
    return bytes(body)


def parameters(request: Request, kind: type[Model] | None) -> Model:
    """The query's parameters. Raises `RefusalError` 400."""
    given: dict[str, Any] = {}
    for name, value in request.query_params.multi_items():
        if name in given:
            raise invalid(FieldProblem(name[:100], "It is given more than once.", "repeated"))
        given[name] = value
    wanted = kind or NoParameters
    if "filter" in wanted.model_fields and "filter" in given:
        given = {**_filter(given["filter"]), **given}
    try:
        return wanted.model_validate(given, by_alias=True, by_name=False)
    except ValidationError as error:
        raise invalid(*problems_of(error, wanted)) from error


def content(request: Request, body: bytes, kind: type[Model]) -> Model:
    """The body as a model; an empty one counts as `{}`. Raises `RefusalError` 400 or 415."""
    kind_of_body = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if body and kind_of_body != "application/json":
        raise RefusalError(415, Code.NOT_JSON, "Send JSON, with 'Content-Type: application/json'.")
    try:
        read = kind.model_validate_json(body or b"{}", strict=True, by_alias=True, by_name=False)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        if first["type"] == "json_invalid":
            why = first["msg"].removeprefix("Invalid JSON: ")
            raise RefusalError(400, Code.INVALID_JSON, f"The body is not JSON: {why}.") from error
        raise invalid(*problems_of(error, kind)) from error
    if body:
        # Of two values of one name the last would count, and the other be lost without a word.
        json.loads(body, object_pairs_hook=_refuse_repeated, parse_int=str)
    return read


def _refuse_repeated(pairs: list[tuple[str, Any]]) -> None:
    names = set[str]()
    for name, _ in pairs:
        if name in names:
            raise invalid(FieldProblem(name[:100], "It is given more than once.", "repeated"))
        names.add(name)


def idempotency_key(request: Request) -> str | None:
    """What the caller calls this request, so that it can be sent again. Raises `RefusalError` 400."""
    key = request.headers.get("idempotency-key")
    if key is not None and not _KEY.fullmatch(key):
        message = "Use 1 to 200 visible ASCII characters, such as a UUID."
        raise invalid(FieldProblem("Idempotency-Key", message, "pattern"))
    return key


def is_word(text: str) -> bool:
    """Whether a part of a path can name anything."""
    return _WORD.fullmatch(text) is not None


def _filter(text: str) -> dict[str, Any]:
    try:
        # As texts, like parameters of their own.
        given = msgspec.json.decode(text, type=dict[str, str | int | float | bool], strict=False)
    except (msgspec.DecodeError, RecursionError) as error:
        message = 'Give a JSON object of plain values, such as {"branch":"main"}.'
        raise invalid(FieldProblem("filter", message, "json")) from error
    return {name: str(value) for name, value in given.items() if name != "filter"}


def _too_large() -> RefusalError:
    return RefusalError(413, Code.TOO_LARGE, f"A body may have {MAX_BODY} bytes. Send less.")
