"""What is said of a model's fields: the text that stands below each in the source."""

import ast
import inspect
import sys
from collections.abc import Mapping
from functools import cache
from itertools import pairwise


def field_texts(model: type) -> dict[str, str]:
    """Texts by field, of a class and of those that it extends, as far as their sources are there."""
    found: dict[str, str] = {}
    for one in reversed(model.__mro__):
        if "__annotations__" in vars(one):
            found |= _of_module(one.__module__).get(one.__name__, {})
    return found


@cache
def _of_module(name: str) -> Mapping[str, Mapping[str, str]]:
    """Texts by class and field. Each module is read once: to find a class in it takes as long."""
    try:
        source = inspect.getsource(sys.modules[name])
    except (OSError, TypeError, KeyError):
        return {}
    return {one.name: _of_class(one) for one in ast.parse(source).body if isinstance(one, ast.ClassDef)}


def _of_class(body: ast.ClassDef) -> dict[str, str]:
    return {
        field.target.id: inspect.cleandoc(text.value.value)
        for field, text in pairwise(body.body)
        if isinstance(field, ast.AnnAssign)
        and isinstance(field.target, ast.Name)
        and isinstance(text, ast.Expr)
        and isinstance(text.value, ast.Constant)
        and isinstance(text.value.value, str)
    }
