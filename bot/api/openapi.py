"""The OpenAPI document, made from the same declarations that route, guard and validate."""

import re
from functools import cache
from typing import Any

from pydantic.json_schema import JsonSchemaMode, models_json_schema

from bot.api.envelope import BareError, ErrorAnswer, Meta, Model
from bot.api.operation import Operation
from bot.api.rates import DEFAULT_RATES
from bot.api.reading import MAX_BODY
from bot.api.routes import OPERATIONS, PREFIX, Address, addresses

VERSION = "1.0.0"
_REFUSALS = {
    400: "The body or a parameter is not well formed; `validationErrors` says which.",
    401: "There is no token, or not a valid one.",
    403: "The caller lacks a right (`details.needs` says which), or belongs to no organisation.",
    404: "There is no such thing, or it is somebody else's.",
    409: "It changed in the same moment, or the same request is under way.",
    413: f"The body has more than {MAX_BODY} bytes.",
    415: "The body is not JSON.",
    422: "Well formed, but it can't be: `validationErrors` says what.",
    429: "Too many requests, or wrong tokens; `Retry-After` says when to go on.",
    503: "The store or the queue does not answer. Nothing was changed.",
}
_PARTS = {
    "org": "Id or slug of an organisation.",
    "project": "Id or slug of a project.",
    "app": "Id or slug of an app.",
    "deployment": "A deployment: `DEP-12` or `12`.",
    "release": "Number, name, or start of the commit of a release.",
    "environment": "Name or id of an environment; a preview also as `pr-12`. Write a slash as `%2F`.",
    "detection": "Id of a detection.",
    "domain": "Hostname or id of a custom domain.",
    "delivery": "GUID of a delivery.",
    "token": "Id of a token.",
    "webhook": "Id of a webhook.",
    "channel": "Id of a channel.",
    "message": "Id of what was sent.",
    "member": "Id or e-mail address of a member.",
    "number": "Number of a pull request.",
    "link": "Number of a share link.",
    "window": "Id of a freeze window.",
    "session": "Id of a session.",
    "invitation": "Id of an invitation.",
    "hook": "Id of a deploy hook.",
    "installation": "GitHub's number of an installation of the App.",
}
_EXAMPLES = {
    "org": "acme",
    "project": "default",
    "app": "shop",
    "deployment": "DEP-12",
    "release": "amber-otter-42",
    "number": "12",
    "link": "5",
    "window": "5",
    "environment": "production",
    "detection": "7",
    "domain": "www.acme.example",
    "delivery": "72d3162e-cc78-11e3-81ab-4c9367dc0958",
    "token": "5",
    "member": "3",
    "session": "8",
    "invitation": "4",
    "hook": "6",
    "installation": "51234567",
    "webhook": "4",
    "channel": "5",
    "message": "12",
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
    return schemas


def _operation(operation: Operation, address: Address, schemas: dict[str, Any]) -> dict[str, Any]:
    needs = "" if operation.verb is None else f"Needs the right `{operation.verb}`."
    described: dict[str, Any] = {
        "operationId": operation.id + address.suffix,
        "summary": operation.summary,
        "description": f"{operation.description} {needs}".strip(),
        "tags": [operation.tag],
        "parameters": [*_path(address.path), *_query(operation), *_own_headers(operation)],
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


def _path(path: str) -> list[dict[str, Any]]:
    return [
        {
            "name": name,
            "in": "path",
            "required": True,
            "description": _PARTS[name],
            "schema": {"type": "string", "minLength": 1, "maxLength": 200},
            "example": _EXAMPLES[name],
        }
        for name in re.findall(r"\{(\w+)\}", path)
    ]


def _query(operation: Operation) -> list[dict[str, Any]]:
    if operation.query is None:
        return []
    schema = operation.query.model_json_schema(mode="validation")
    return [_parameter(name, part) for name, part in schema["properties"].items()]


def _parameter(name: str, part: dict[str, Any]) -> dict[str, Any]:
    # Null is how a parameter is said to be left out; none can be sent.
    options = [one for one in part.get("anyOf", []) if one.get("type") != "null"]
    inner = {
        key: value for key, value in part.items() if key not in ("anyOf", "title", "description", "default")
    }
    schema: dict[str, Any] = {**(options[0] if options else {}), **inner}
    schema |= {"default": part["default"]} if part.get("default") is not None else {}
    found: dict[str, Any] = {"name": name, "in": "query", "required": False, "schema": schema}
    return {**found, "description": part["description"]} if "description" in part else found


def _own_headers(operation: Operation) -> list[dict[str, Any]]:
    if operation.method != "POST":
        return []
    schema = {"type": "string", "minLength": 1, "maxLength": 200, "pattern": "^[!-~]{1,200}$"}
    text = "A name for this request, such as a UUID, so that it can be sent again."
    return [
        {"name": "Idempotency-Key", "in": "header", "required": False, "description": text, "schema": schema}
    ]


def _responses(operation: Operation, schemas: dict[str, Any]) -> dict[str, Any]:
    statuses = {401, 403, 404, 429, 503, *([] if operation.streams else [400])}
    if operation.writes:
        statuses |= {409, 413, 422}
    if operation.body is not None:
        statuses.add(415)
    found: dict[str, Any] = {str(operation.status): _success(operation, schemas)}
    for status in sorted({*statuses, *operation.refusals}):
        own = operation.refusals.get(status)
        if operation.bare and own:
            either = {"oneOf": [_ref(ErrorAnswer), _ref(BareError)]}
            found[str(status)] = {"description": own, "content": {"application/json": {"schema": either}}}
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
    headers = {name: {"$ref": f"#/components/headers/{name}"} for name in _headers()}
    example = example_of(schema, schemas)
    if not operation.lists:
        example["meta"].pop("pagination")
    content = {"application/json": {"schema": schema, "example": example}}
    return {"description": operation.summary + ".", "headers": headers, "content": content}


def _refusal(status: int, text: str) -> dict[str, Any]:
    return {"description": text, "content": {"application/json": {"schema": _ref(ErrorAnswer)}}} | (
        {"headers": {"Retry-After": {"schema": {"type": "integer"}}}} if status in (429, 503) else {}
    )


def _headers() -> dict[str, Any]:
    texts = {
        "X-Request-ID": "The id of this request, also in the log.",
        "X-RateLimit-Limit": "Requests a minute.",
        "X-RateLimit-Remaining": "How many are left.",
        "X-RateLimit-Reset": "When all are there again, in Unix seconds.",
    }
    return {name: {"description": text, "schema": {"type": "string"}} for name, text in texts.items()}


def _ref(model: type[Model]) -> dict[str, Any]:
    return {"$ref": f"#/components/schemas/{model.__name__}"}
