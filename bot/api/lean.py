"""Rows of long lists without the price of a model each: that is paid for checking what the store told.

Tests hold what is sent to the document, which the models describe.
"""

from collections.abc import Callable
from typing import Any

import msgspec

from bot.api.envelope import Model

Lean = msgspec.Struct
"""An answer, or a row of one, as it is sent: nothing checks it, and nothing makes it into anything else."""


def lean(model: type[Model]) -> Callable[..., Lean]:
    """What makes an answer of a model's fields, by name. All must be given."""
    names = [(name, Any) for name in model.model_fields]
    return msgspec.defstruct(model.__name__, names, rename="camel", frozen=True, gc=False)
