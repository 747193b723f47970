"""How every answer is wrapped: `success`, `data` or `error`, and `meta`."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

import msgspec
from pydantic import BaseModel, ConfigDict, Field, GetJsonSchemaHandler
from pydantic.alias_generators import to_camel
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema
from starlette.responses import Response

from bot.api.field_texts import field_texts
from bot.api.refusals import RefusalError
from bot.clock import stamp, utc_now


class Model(BaseModel):
    """What goes in and out: camelCase outside, nothing unknown, nothing changed."""

    model_config = ConfigDict(
        alias_generator=to_camel,
        populate_by_name=True,
        extra="forbid",
        frozen=True,
        defer_build=True,
    )

    @classmethod
    def __get_pydantic_json_schema__(
        cls, core_schema: CoreSchema, handler: GetJsonSchemaHandler
    ) -> JsonSchemaValue:
        """With what stands below each field. Pydantic would read all sources at each start."""
        found = handler(core_schema)
        fields = handler.resolve_ref_schema(found).get("properties", {})
        texts = field_texts(cls)
        for name, field in cls.model_fields.items():
            if name in texts and (field.alias or name) in fields:
                fields[field.alias or name].setdefault("description", texts[name])
        return found


class PaginationMeta(Model):
    """Where a page stands in its list. Counting ends at 10,000."""

    page: int = Field(examples=[1])
    page_size: int = Field(examples=[20])
    total_items: int = Field(examples=[42])
    total_pages: int = Field(examples=[3])
    has_next: bool = Field(examples=[True])
    has_previous: bool = Field(examples=[False])


class Meta(Model):
    """About the answer itself. `requestId` stands in the log of the web process, too."""

    request_id: str = Field(examples=["4f9c2d5e8a7b4c1f9e3d2b1a0c8f7e6d"])
    timestamp: datetime = Field(examples=["2026-01-31T12:00:00.000Z"])
    pagination: PaginationMeta | None = Field(default=None, examples=[None])


class ValidationError(Model):
    """What is wrong with one field or parameter."""

    field: str = Field(examples=["productionBranch"])
    message: str = Field(examples=["This is not the name of a branch."])
    code: str = Field(examples=["value-error"])


class ErrorBody(Model):
    """Why a request was refused."""

    code: str = Field(examples=["validation-failed"])
    """Stable; programs decide by it."""
    message: str = Field(examples=["productionBranch: This is not the name of a branch."])
    """For people: what is wrong and what to do."""
    details: dict[str, Any] | None = Field(default=None, examples=[None])
    validation_errors: list[ValidationError] | None = Field(default=None, examples=[None])


class ErrorAnswer(Model):
    """Any answer that says no."""

    success: bool = Field(default=False, examples=[False], json_schema_extra={"const": False})
    error: ErrorBody
    meta: Meta


class BareError(Model):
    """What is wrong, in one sentence."""

    success: bool = Field(default=False, examples=[False], json_schema_extra={"const": False})
    error: str = Field(examples=["SMTP not configured"])


def success(
    data: Any, *, request_id: str, status: int = 200, pagination: PaginationMeta | None = None
) -> Response:
    """An answer that says yes; `data` is what JSON can hold."""
    meta = _meta(request_id)
    if pagination is not None:
        meta["pagination"] = pagination.model_dump(by_alias=True)
    return _response({"success": True, "data": data, "meta": meta}, status, {}, request_id=request_id)


def bare(data: Any, *, request_id: str, status: int = 200) -> Response:
    """An answer without the envelope, where another API's clients expect none."""
    return _response(data, status, {}, request_id=request_id)


def failure(refusal: RefusalError, *, request_id: str) -> Response:
    """An answer that says no."""
    if refusal.is_bare:
        plain = {"success": False, "error": refusal.message}
        return _response(plain, refusal.status, refusal.headers, request_id=request_id)
    error: dict[str, Any] = {"code": refusal.code, "message": refusal.message}
    if refusal.details is not None:
        error["details"] = refusal.details
    if refusal.problems:
        error["validationErrors"] = [
            {"field": one.field, "message": one.message, "code": one.code} for one in refusal.problems
        ]
    content = {"success": False, "error": error, "meta": _meta(request_id)}
    return _response(content, refusal.status, refusal.headers, request_id=request_id)


def _meta(request_id: str) -> dict[str, Any]:
    return {"requestId": request_id, "timestamp": stamp(utc_now())}


def _response(content: Any, status: int, headers: Mapping[str, str], *, request_id: str) -> Response:
    response = Response(msgspec.json.encode(content), status, dict(headers), media_type="application/json")
    response.headers["Cache-Control"] = "no-store"
    response.headers["X-Content-Type-Options"] = "nosniff"
    response.headers["X-Request-ID"] = request_id
    return response
