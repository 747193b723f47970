"""The JSON Schema of `slipway.toml`, made from the definitions that the file is read by. Pure."""

from typing import Any, cast

import msgspec

from bot.intake.recipe_file import SlipwayFile

PATH = "/schema/slipway.json"
"""Where an instance publishes it."""
_DIALECT = "https://json-schema.org/draft/2020-12/schema"


def schema(url: str) -> dict[str, Any]:
    """The schema as published at an instance's address.

    What a schema can't say, such as which text is a valid branch, `slipway config check` tells.
    """
    made = _without_null(msgspec.json.schema(SlipwayFile))
    return {"$schema": _DIALECT, "$id": f"{url}{PATH}", "title": "slipway.toml", **made}


def _without_null(value: Any) -> Any:
    """TOML has no null: what may be left out is left out."""
    if isinstance(value, list):
        return [_without_null(item) for item in cast("list[Any]", value)]
    if not isinstance(value, dict):
        return value
    table = cast("dict[str, Any]", value)
    if "anyOf" in table:
        (kind,) = (one for one in table["anyOf"] if one != {"type": "null"})
        table = {**{name: inner for name, inner in table.items() if name != "anyOf"}, **kind}
    return {
        name: _without_null(inner)
        for name, inner in table.items()
        if not (name == "default" and inner is None)
    }
