"""The OpenAPI document, made from the same declarations that route, guard and validate."""

from functools import cache
from http import HTTPStatus
from typing import Any

from pydantic.json_schema import JsonSchemaMode, models_json_schema

from bot.api.envelope import BareError, ErrorAnswer, Meta, Model
from bot.api.operation import Operation
from bot.api.parameters import of_headers, of_path, of_query
from bot.api.rates import DEFAULT_RATES
from bot.api.reading import BODY_SECONDS, MAX_BODY
from bot.api.refusals import Code
from bot.api.routes import OPERATIONS, PREFIX, Address, addresses

VERSION = "1.0.0"
_REPLAYED = "Idempotency-Replayed"
_REFUSALS = {
    400: "The body or a parameter is not well formed; `validationErrors` says which.",
    401: "There is no token, or not a valid one.",
    403: "The caller lacks a right (`details.needs` says which), is a token of one app, or is no member.",
    404: "There is no such thing, or it is somebody else's.",
    408: f"The body did not come within {BODY_SECONDS} seconds.",
    409: "It changed in the same moment, or the same request is under way.",
    413: f"The body has more than {MAX_BODY} bytes.",
    415: "The body is not JSON.",
    422: "Well formed, but it can't be: `validationErrors` says what.",
    429: "Too many requests, or wrong tokens; `Retry-After` says when to go on.",
    503: "The store or the queue does not answer. Nothing was changed.",
}
_CODES = {
    400: Code.VALIDATION_FAILED,
    401: Code.UNAUTHORIZED,
    403: Code.FORBIDDEN,
    404: Code.NOT_FOUND,
    409: Code.CONFLICT,
    408: Code.TOO_SLOW,
    413: Code.TOO_LARGE,
    415: Code.NOT_JSON,
    422: Code.VALIDATION_FAILED,
    429: Code.RATE_LIMITED,
    503: Code.NOT_NOW,
}
_ABOUT = f"""
Everything that Slipway does, by HTTP.

**Addresses.** Every path below `/apps` is also there with its scope written out:
`{PREFIX}/orgs/{{org}}/projects/{{project}}/apps/...`. Ids and slugs both work. What belongs to another
organisation is 404.

**Tokens.** `Authorization: Bearer slp_...`. `slipway token create` makes the first one. Deploy tokens
(`sld_...`) are for one app.

**People.** An ID token of the configured OpenID Connect issuer counts as a token, too; so does the
console's session cookie for requests of its own pages. Who belongs to several organisations names one in
the path (`/orgs/{{org}}/...`) or in the header `X-Slipway-Org`; else the oldest membership counts.

**Answers.** `{{"success": true, "data": ..., "meta": {{"requestId", "timestamp", "pagination"?}}}}`, or
`{{"success": false, "error": {{"code", "message", "details"?, "validationErrors"?}}, "meta"}}`. Codes are
stable; messages are for people.

**Repeating.** Send `Idempotency-Key` with a POST: the same request again, within a day, is answered as the
first time and does nothing twice.

**Limits.** {DEFAULT_RATES.per_token} requests a minute for a token, {DEFAULT_RATES.per_tenant} for an
organisation:
`X-RateLimit-Limit`, `-Remaining`, `-Reset`.
"""


@cache
def document() -> dict[str, Any]:
    """The whole document, OpenAPI 3.1."""
    schemas = _schemas()
    paths: dict[str, dict[str, Any]] = {}
    for operation in OPERATIONS:
        for address in addresses(operation):
            described = _operation(operation, address, schemas)
            paths.setdefault(f"{PREFIX}{address.path}", {})[operation.method.lower()] = described
    return {
        "openapi": "3.1.0",
        "info": {"title": "Slipway", "version": VERSION, "description": _ABOUT.strip()},
        "servers": [{"url": "/"}],
        "tags": [{"name": name} for name in dict.fromkeys(one.tag for one in OPERATIONS)],
        "security": [{"token": []}, {"session": []}],
        "paths": paths,
        "components": {
            "schemas": schemas,
            "securitySchemes": {
                "token": {"type": "http", "scheme": "bearer"},
                "session": {"type": "apiKey", "in": "cookie", "name": "slipway-session"},
            },
            "headers": _headers(),
            "responses": {str(status): _refusal(status, text) for status, text in _REFUSALS.items()},
        },
    }


def example_of(schema: dict[str, Any], schemas: dict[str, Any]) -> Any:
    """An example of a schema, put together from those of its fields."""
    if "$ref" in schema:
        return example_of(schemas[schema["$ref"].rpartition("/")[2]], schemas)
    for name in ("examples", "enum"):
        if name in schema:
            return schema[name][0]
    if "const" in schema:
        return schema["const"]
    if "properties" in schema:
        return {name: example_of(part, schemas) for name, part in schema["properties"].items()}
    if "anyOf" in schema:
        return example_of(schema["anyOf"][0], schemas)
    return [example_of(schema["items"], schemas)] if schema.get("type") == "array" else schema.get("default")


def _schemas() -> dict[str, Any]:
    given: list[type[Model]] = [one.body for one in OPERATIONS if one.body]
    answered: list[type[Model]] = [one.answer for one in OPERATIONS if one.answer]
    wanted: list[tuple[type[Model], JsonSchemaMode]] = []
    wanted.extend((model, "validation") for model in dict.fromkeys(given))
    wanted.extend(
        (model, "serialization") for model in dict.fromkeys([*answered, ErrorAnswer, BareError, Meta])
    )
    _, whole = models_json_schema(wanted, ref_template="#/components/schemas/{model}")
    schemas: dict[str, Any] = whole["$defs"]
    for name in {one.body.__name__ for one in OPERATIONS if one.body and one.method == "PATCH"}:
        # What is left out stays: a client that fills in what a schema says would change it.
        for part in schemas[name]["properties"].values():
            part.pop("default", None)
    return schemas


def _operation(operation: Operation, address: Address, schemas: dict[str, Any]) -> dict[str, Any]:
    needs = "" if operation.verb is None else f"Needs the right `{operation.verb}`."
    described: dict[str, Any] = {
        "operationId": operation.id + address.suffix,
        "summary": operation.summary,
        "description": f"{operation.description} {needs}".strip(),
        "tags": [operation.tag],
        "parameters": [*of_path(address.path), *of_query(operation), *of_headers(operation)],
        "responses": _responses(operation, schemas),
    }
    if operation.body is not None:
        schema = _ref(operation.body)
        content = {"schema": schema, "example": example_of(schema, schemas)}
        described["requestBody"] = {
            "required": bool(schemas[operation.body.__name__].get("required")),
            "content": {"application/json": content},
        }
    return described


def _responses(operation: Operation, schemas: dict[str, Any]) -> dict[str, Any]:
    statuses = {401, 403, 404, 429, 503, *([] if operation.streams else [400])}
    if operation.writes:
        statuses |= {408, 409, 413, 422}
    if operation.body is not None:
        statuses.add(415)
    found: dict[str, Any] = {str(operation.status): _success(operation, schemas)}
    for status in sorted({*statuses, *operation.refusals}):
        own = operation.refusals.get(status)
        if operation.bare and own:
            either = {"oneOf": [_ref(ErrorAnswer), _ref(BareError)]}
            content = {"schema": either, "example": {"success": False, "error": own}}
            found[str(status)] = {"description": own, "content": {"application/json": content}}
            continue
        found[str(status)] = _refusal(status, own) if own else {"$ref": f"#/components/responses/{status}"}
    return found


def _success(operation: Operation, schemas: dict[str, Any]) -> dict[str, Any]:
    if operation.streams:
        kinds = operation.media.items()
        content = {kind: {"schema": {"type": "string", "description": text}} for kind, text in kinds}
        return {"description": operation.summary + ".", "content": content}
    if operation.bare and operation.answer is not None:
        schema = _ref(operation.answer)
        content = {"application/json": {"schema": schema, "example": example_of(schema, schemas)}}
        return {"description": operation.summary + ".", "content": content}
    data: dict[str, Any] = {"type": "null"} if operation.answer is None else _ref(operation.answer)
    if operation.lists:
        data = {"type": "array", "items": data}
    schema: dict[str, Any] = {
        "type": "object",
        "properties": {"success": {"const": True}, "data": data, "meta": _ref(Meta)},
        "required": ["success", "data", "meta"],
        "additionalProperties": False,
    }
    carried = [name for name in _headers() if operation.method == "POST" or name != _REPLAYED]
    headers = {name: {"$ref": f"#/components/headers/{name}"} for name in carried}
    example = example_of(schema, schemas)
    if not operation.lists:
        example["meta"].pop("pagination")
    content = {"application/json": {"schema": schema, "example": example}}
    return {"description": operation.summary + ".", "headers": headers, "content": content}


def _refusal(status: int, text: str) -> dict[str, Any]:
    content = {"schema": _ref(ErrorAnswer), "example": _refused(status, text)}
    found: dict[str, Any] = {"description": text, "content": {"application/json": content}}
    if status in (429, 503):
        found["headers"] = {"Retry-After": {"schema": {"type": "integer"}}}
    return found


def _refused(status: int, text: str) -> dict[str, Any]:
    error: dict[str, Any] = {"code": _CODES[status], "message": text}
    if status == HTTPStatus.FORBIDDEN:
        error["details"] = {"needs": "deploy"}
    if error["code"] == Code.VALIDATION_FAILED:
        problem = {"field": "productionBranch", "message": "This is not the name of a branch."}
        error["validationErrors"] = [{**problem, "code": "value-error"}]
    meta = {"requestId": "4f9c2d5e8a7b4c1f9e3d2b1a0c8f7e6d", "timestamp": "2026-01-31T12:00:00.000Z"}
    return {"success": False, "error": error, "meta": meta}


def _headers() -> dict[str, Any]:
    texts = {
        "X-Request-ID": "The id of this request, also in the log.",
        "X-RateLimit-Limit": "Requests a minute.",
        "X-RateLimit-Remaining": "How many are left.",
        "X-RateLimit-Reset": "When all are there again, in Unix seconds.",
        _REPLAYED: "`true` when this is what the first request with that key was answered.",
    }
    return {name: {"description": text, "schema": {"type": "string"}} for name, text in texts.items()}


def _ref(model: type[Model]) -> dict[str, Any]:
    return {"$ref": f"#/components/schemas/{model.__name__}"}
