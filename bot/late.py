"""Modules that are loaded when something of them is first used, because they are heavy and seldom needed."""

from importlib import import_module
from typing import Any


class Late:
    """Stands for a module. Threads may use it at once, as `importlib.util.LazyLoader`'s they may not."""

    def __init__(self, name: str) -> None:
        self._name = name

    def __getattr__(self, attribute: str) -> Any:
        """What the module has of that name. Raises `AttributeError` as the module does."""
        return getattr(import_module(self._name), attribute)
