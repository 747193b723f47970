"""All mistakes of a value read from a file, found by the definition that it is converted to. Pure."""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import date, time
from difflib import get_close_matches
from typing import Any, cast

from msgspec import inspect as defined

from bot.intake.toml_places import Path

_SHOWN = 60
_IDENTIFIER = re.compile(r"[A-Za-z0-9_-]+")


@dataclass(frozen=True)
class Mistake:
    """What is wrong: the path of a key or value, what was found there, and what to write instead."""

    path: Path
    found: str
    expected: str


@dataclass(frozen=True)
class _Kind:
    """A type with what its definition says besides: what to write, and an example."""

    type: defined.Type
    expected: str = ""
    example: str = ""


def mistakes(value: Any, kind: defined.Type, path: Path = ()) -> Iterator[Mistake]:
    """Every mistake of a value; none means that `msgspec.convert` takes it.

    Says what to write by the definition's `extra["expected"]` and its first example.
    """
    plain = _plain(kind)
    match plain.type:
        case defined.StructType():
            yield from _struct(value, plain.type, path)
        case defined.DictType():
            yield from _dict(value, plain.type, path)
        case defined.VarTupleType():
            yield from _list(value, plain.type, path)
        case defined.UnionType():
            (only,) = (one for one in plain.type.types if not isinstance(one, defined.NoneType))
            yield from mistakes(value, only, path)
        case defined.LiteralType(values=values):
            if not isinstance(value, str) or value not in values:
                words = [str(word) for word in values]
                yield Mistake(path, shown(value), _one_of(str(value), [f'"{word}"' for word in words]))
        case _:
            yield from _single(value, plain, path)


def shown(value: Any) -> str:
    """A value as a TOML file has it, on one line, cut."""
    match value:
        case bool():
            text = "true" if value else "false"
        case str():
            text = '"' + value.encode("unicode_escape").decode().replace('"', '\\"') + '"'
        case int() | float():
            text = str(value)
        case date() | time():
            text = "a date or a time"
        case dict():
            text = "a table"
        case _:
            text = "a list"
    return text if len(text) <= _SHOWN else f"{text[:_SHOWN]}…"


def key_of(path: Path) -> str:
    """A path as people write it, such as `policy.paths[0]`."""
    text = ""
    for part in path:
        if isinstance(part, int):
            text += f"[{part}]"
        else:
            text += "." + (part if _IDENTIFIER.fullmatch(part) else shown(part))
    return text.removeprefix(".") or "the file"


def _struct(value: Any, kind: defined.StructType, path: Path) -> Iterator[Mistake]:
    fields = {one.encode_name: one for one in kind.fields}
    if not isinstance(value, dict):
        example = f"{path[-1]} = {{{next(iter(fields))} = …}}" if path else "a table"
        yield Mistake(path, shown(value), f"a table, such as {example}")
        return
    table = cast("dict[str, Any]", value)
    for name, inner in table.items():
        if name in fields:
            yield from mistakes(inner, fields[name].type, (*path, name))
        else:
            yield Mistake((*path, name), "a key that Slipway does not know", _one_of(name, list(fields)))
    for name, one in fields.items():
        if one.required and name not in table:
            yield Mistake((*path, name), "missing", _wanted(one.type))


def _dict(value: Any, kind: defined.DictType, path: Path) -> Iterator[Mistake]:
    if not isinstance(value, dict):
        yield Mistake(path, shown(value), "a table, such as {name = …}")
        return
    table = cast("dict[str, Any]", value)
    if kind.max_length is not None and len(table) > kind.max_length:
        yield Mistake(path, f"a table of {len(table)} entries", f"at most {kind.max_length} entries")
        return
    for name, inner in table.items():
        for one in mistakes(name, kind.key_type, (*path, name)):
            yield Mistake(one.path, f"the name {one.found}", _plain(kind.key_type).expected)
        yield from mistakes(inner, kind.value_type, (*path, name))


def _list(value: Any, kind: defined.VarTupleType, path: Path) -> Iterator[Mistake]:
    if not isinstance(value, list):
        yield Mistake(path, shown(value), f"a list, such as [{_plain(kind.item_type).example}]")
        return
    items = cast("list[Any]", value)
    if kind.max_length is not None and len(items) > kind.max_length:
        yield Mistake(path, f"a list of {len(items)}", f"at most {kind.max_length} entries")
        return
    if len(items) < (kind.min_length or 0):
        yield Mistake(
            path, "an empty list", f"at least one entry, such as [{_plain(kind.item_type).example}]"
        )
    for number, item in enumerate(items):
        yield from mistakes(item, kind.item_type, (*path, number))


def _single(value: Any, kind: _Kind, path: Path) -> Iterator[Mistake]:
    match kind.type:
        case defined.BoolType():
            if not isinstance(value, bool):
                yield Mistake(path, shown(value), "true or false, without quotes")
        case defined.IntType():
            yield from _number(value, kind.type, path)
        case defined.StrType():
            yield from _text(value, kind, path)
        case other:
            raise TypeError(f"nothing can be checked to be {other!r}")


def _number(value: Any, kind: defined.IntType, path: Path) -> Iterator[Mistake]:
    low, high = kind.ge, kind.le
    if isinstance(value, bool) or not isinstance(value, int):
        yield Mistake(path, shown(value), f"a whole number from {low} to {high}, without quotes")
    elif (low is not None and value < low) or (high is not None and value > high):
        yield Mistake(path, shown(value), f"a whole number from {low} to {high}")


def _text(value: Any, kind: _Kind, path: Path) -> Iterator[Mistake]:
    limits = kind.type
    assert isinstance(limits, defined.StrType)
    such_as = f", such as {kind.example}" if kind.example else ""
    if not isinstance(value, str):
        yield Mistake(path, shown(value), f"text in quotes{such_as}")
    elif limits.max_length is not None and len(value) > limits.max_length:
        yield Mistake(path, f"a text of {len(value)} characters", f"at most {limits.max_length} characters")
    elif len(value) < (limits.min_length or 0):
        yield Mistake(path, shown(value), f"a text that is not empty{such_as}")
    elif limits.pattern is not None and re.search(limits.pattern, value) is None:
        yield Mistake(path, shown(value), kind.expected or f"a text that matches {limits.pattern}")


def _plain(kind: defined.Type) -> _Kind:
    expected = example = ""
    while isinstance(kind, defined.Metadata):
        extra = cast("dict[str, str]", kind.extra or {})
        schema = cast("dict[str, Any]", kind.extra_json_schema or {})
        expected = extra.get("expected", expected)
        examples = schema.get("examples")
        example = shown(examples[0]) if examples else example
        kind = kind.type
    return _Kind(kind, expected, example)


def _one_of(name: str, known: Sequence[str]) -> str:
    """The known words, or the one that was meant, when there is one near."""
    plain = {word.strip('"'): word for word in known}
    near = get_close_matches(name.lower(), plain, n=1, cutoff=0.6)
    return plain[near[0]] if near else f"one of {', '.join(known)}"


def _wanted(kind: defined.Type) -> str:
    plain = _plain(kind)
    if isinstance(plain.type, defined.VarTupleType):
        return f"a list, such as [{_plain(plain.type.item_type).example}]"
    return plain.example or "it"
