"""What the OpenAPI document says of an operation's parameters."""

import re
from collections.abc import Mapping
from typing import Any

from bot.api.operation import Operation

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
    "window": "Id of a freeze window.",
    "webhook": "Id of a webhook.",
    "channel": "Id of a channel.",
    "message": "Id of what was sent.",
    "member": "Id or e-mail address of a member.",
    "number": "Number of a pull request.",
    "link": "Number of a share link.",
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
    "environment": "production",
    "detection": "7",
    "domain": "www.acme.example",
    "delivery": "72d3162e-cc78-11e3-81ab-4c9367dc0958",
    "token": "5",
    "window": "5",
    "member": "3",
    "session": "8",
    "invitation": "4",
    "hook": "6",
    "installation": "51234567",
    "webhook": "4",
    "channel": "5",
    "message": "12",
}


def of_path(path: str) -> list[dict[str, Any]]:
    """The parts of a path that vary."""
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


def of_query(operation: Operation) -> list[dict[str, Any]]:
    """The parameters behind the question mark."""
    if operation.query is None:
        return []
    whole = operation.query.model_json_schema(mode="validation")
    definitions, required = whole.get("$defs", {}), whole.get("required", [])
    schemas = {name: _schema(part, definitions) for name, part in whole["properties"].items()}
    return [
        {"name": name, "in": "query", "required": name in required, **_text(part), **_kind(name, schemas)}
        for name, part in whole["properties"].items()
    ]


def of_headers(operation: Operation) -> list[dict[str, Any]]:
    """Headers that only some operations take."""
    if operation.method != "POST":
        return []
    schema = {"type": "string", "minLength": 1, "maxLength": 200, "pattern": "^[!-~]{1,200}$"}
    text = "A name for this request, such as a UUID, so that it can be sent again."
    return [
        {"name": "Idempotency-Key", "in": "header", "required": False, "description": text, "schema": schema}
    ]


def _kind(name: str, schemas: Mapping[str, dict[str, Any]]) -> dict[str, Any]:
    if name != "filter":
        return {"schema": schemas[name]}
    # All the others as one JSON object.
    others = {other: schema for other, schema in schemas.items() if other != "filter"}
    sample = {other: others[other]["examples"][0] for other in _telling(others)}
    schema = {"type": "object", "properties": others, "additionalProperties": False}
    return {"content": {"application/json": {"schema": schema, "example": sample}}}


def _telling(others: Mapping[str, dict[str, Any]]) -> list[str]:
    own = [name for name in others if name not in ("page", "pageSize", "sort", "search")]
    return [*own, "search"][:1]


def _text(part: Mapping[str, Any]) -> dict[str, Any]:
    return {"description": part["description"]} if "description" in part else {}


def _schema(part: dict[str, Any], definitions: Mapping[str, Any]) -> dict[str, Any]:
    # Null is how a parameter is said to be left out; none can be sent.
    options = [one for one in part.get("anyOf", [part]) if one.get("type") != "null"]
    first: dict[str, Any] = options[0]
    if "$ref" in first:
        first = definitions[first["$ref"].rpartition("/")[2]]
    whole = {**first, **{key: value for key, value in part.items() if key not in ("anyOf", "$ref")}}
    dropped = ("title", "description", *(("default",) if part.get("default") is None else ()))
    return {key: value for key, value in whole.items() if key not in dropped}
