"""How every program of Slipway's ends: an error that somebody foresaw is one clear text and exit code 2."""

import sys
from collections.abc import Callable
from importlib import import_module
from typing import Any

from bot.errors import SlipwayError

REFUSED = 2
"""Exit code of a program that could not do what it was asked for."""


def run(work: Callable[[], None]) -> None:
    """Do the work of a program; a foreseen error ends the process with a text on standard error."""
    try:
        work()
    except SlipwayError as error:
        _refuse(_text(error))
    except (OSError, *loaded("bot.store.engine", "StoreError")) as error:
        fault = import_module("bot.troubles").named(error)
        if fault is None:
            raise
        _refuse(_text(fault))
    except loaded("pydantic", "ValidationError") as error:
        _refuse(_settings_text(error))


def loaded(module: str, name: str) -> tuple[type[Exception], ...]:
    """An error's class where its module is loaded, for `except`: else nobody can have raised it.

    So a program loads no more than its work needs.
    """
    found = getattr(sys.modules.get(module), name, None)
    return (found,) if found is not None else ()


def _settings_text(error: Any) -> str:
    return "\n".join(
        f"SLIPWAY_{'_'.join(map(str, one['loc'])).upper()}: {one['msg']} (it is {one['input']!r})"
        for one in error.errors()
    )


def _text(error: SlipwayError) -> str:
    text: str = import_module("bot.render").message_or(error.code, error.facts, str(error))
    return text


def _refuse(text: str) -> None:
    sys.stderr.write(f"{text}\n")
    raise SystemExit(REFUSED)
