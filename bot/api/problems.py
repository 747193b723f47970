"""What pydantic finds wrong with a request, said so that a person knows what to write instead."""

from collections.abc import Mapping
from difflib import get_close_matches
from typing import Any

from pydantic import ValidationError
from pydantic_core import ErrorDetails

from bot.api.envelope import Model
from bot.api.patterns import SAID
from bot.api.refusals import FieldProblem

_MOST = 50
_LONGEST = 100
_SAID: Mapping[str, str] = {
    "missing": "It is needed.",
    "string_type": 'Write a text, in quotes: "...".',
    "string_unicode": "It is no Unicode text.",
    "int_type": "Write a whole number.",
    "int_parsing": "Write a whole number.",
    "int_from_float": "Write a whole number.",
    "int_parsing_size": "The number is too large.",
    "bool_type": "Write true or false.",
    "bool_parsing": "Write true or false.",
    "dict_type": "Write an object: {{...}}.",
    "model_type": "Write an object: {{...}}.",
    "list_type": "Write a list: [...].",
    "greater_than_equal": "Write at least {ge}.",
    "less_than_equal": "Write at most {le}.",
    "less_than": "Write less than {lt}.",
    "string_too_long": "Write at most {max_length} characters.",
    **dict.fromkeys(
        ("datetime_parsing", "datetime_from_date_parsing", "timezone_aware"),
        "Write a moment with its time zone, such as 2026-01-31T12:00:00Z.",
    ),
    "too_long": "Give at most {max_length} of them.",
    "literal_error": "Write one of these: {expected}.",
    "enum": "Write one of these: {expected}.",
}


def problems_of(error: ValidationError, kind: type[Model]) -> list[FieldProblem]:
    """Each wrong field of a body or parameters of that kind, at most 50."""
    return [
        FieldProblem(
            ".".join(str(part)[:_LONGEST] for part in one["loc"]) or "body",
            _message(one, kind),
            one["type"].replace("_", "-"),
        )
        for one in error.errors(include_url=False, include_input=False)[:_MOST]
    ]


def _message(one: ErrorDetails, kind: type[Model]) -> str:
    facts = one.get("ctx", {})
    match one["type"]:
        case "extra_forbidden":
            return _unknown(one, kind)
        case "string_pattern_mismatch" if facts.get("pattern") in SAID:
            return SAID[facts["pattern"]]
        case "string_too_short" | "too_short":
            least = facts["min_length"]
            return "It must not be empty." if least == 1 else f"Write at least {least}."
        case one_type if one_type in _SAID:
            return _SAID[one_type].format_map(facts)
        case _:
            return one["msg"].removeprefix("Value error, ")


def _unknown(one: ErrorDetails, kind: type[Model]) -> str:
    name, *inner = one["loc"]
    if inner:
        return "There is nothing of that name here."
    known = [_outside(own, field) for own, field in kind.model_fields.items()]
    if not known:
        return "Nothing can be given here."
    near = get_close_matches(_camel(str(name)), known, n=1)
    hint = f"Did you mean {near[0]}?" if near else f"There are: {', '.join(known)}."
    return f"There is nothing of that name here. {hint}"


def _outside(name: str, field: Any) -> str:
    return field.alias or name


def _camel(name: str) -> str:
    first, *rest = name[:_LONGEST].split("_")
    return first + "".join(word.capitalize() for word in rest)
