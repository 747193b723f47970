"""How every program of Slipway's ends: an error that somebody foresaw is one clear text and exit code 2."""

import sys
from collections.abc import Callable

from jinja2 import TemplateError
from pydantic import ValidationError

from bot import render, troubles
from bot.errors import SlipwayError
from bot.store.engine import StoreError

REFUSED = 2
"""Exit code of a program that could not do what it was asked for."""


def run(work: Callable[[], None]) -> None:
    """Do the work of a program; a foreseen error ends the process with a text on standard error."""
    try:
        work()
    except SlipwayError as error:
        _refuse(_text(error))
    except (OSError, StoreError) as error:
        fault = troubles.named(error)
        if fault is None:
            raise
        _refuse(_text(fault))
    except ValidationError as error:
        problems = (
            f"SLIPWAY_{'_'.join(map(str, one['loc'])).upper()}: {one['msg']} (it is {one['input']!r})"
            for one in error.errors()
        )
        _refuse("\n".join(problems))


def _text(error: SlipwayError) -> str:
    try:
        return render.message(error.code, error.facts)
    except TemplateError:
        return str(error)


def _refuse(text: str) -> None:
    sys.stderr.write(f"{text}\n")
    raise SystemExit(REFUSED)
