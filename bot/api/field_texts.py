"""What is said of a model's fields: the text that stands below each in the source."""

import ast
import inspect
from itertools import pairwise
from textwrap import dedent


def field_texts(model: type) -> dict[str, str]:
    """Texts by field, of a class and of those that it extends, as far as their sources are there."""
    found: dict[str, str] = {}
    for one in reversed(model.__mro__):
        if "__annotations__" in vars(one):
            found |= _own(one)
    return found


def _own(model: type) -> dict[str, str]:
    try:
        source = inspect.getsource(model)
    except (OSError, TypeError):
        return {}
    body = ast.parse(dedent(source)).body[0]
    assert isinstance(body, ast.ClassDef)
    return {
        field.target.id: inspect.cleandoc(text.value.value)
        for field, text in pairwise(body.body)
        if isinstance(field, ast.AnnAssign)
        and isinstance(field.target, ast.Name)
        and isinstance(text, ast.Expr)
        and isinstance(text.value, ast.Constant)
        and isinstance(text.value.value, str)
    }
