"""Texts for people: templates and facts in, text out, cut to what the reader's side takes."""

from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined, TemplateError, select_autoescape

from bot.markdown import plain
from bot.wording import duration

TEMPLATES = Path(__file__).parent.parent / "templates"
MAX_STATUS = 140
"""Characters of a commit status's and a deployment status's description; GitHub answers 422 above it."""
_ELLIPSIS = "…"


def text(template: str, facts: Mapping[str, Any]) -> str:
    """Render a template, named by its path. Raises `TemplateError`, also when a fact is missing."""
    return _environment().get_template(template).render(facts).strip()


def message(code: str, facts: Mapping[str, str | int]) -> str:
    """The whole text of an error: what happened in one sentence, a blank line, what to do. Markdown."""
    return text(f"message/{code}.md.j2", facts)


def sentence(code: str, facts: Mapping[str, str | int]) -> str:
    """The first line of an error's text: one sentence of what happened."""
    return message(code, facts).partition("\n")[0].strip()


def message_or(code: str, facts: Mapping[str, str | int], otherwise: str) -> str:
    """`message`, or another text where none can be made: an old failure may lack a fact that is new."""
    try:
        return message(code, facts)
    except TemplateError:
        return otherwise


def sentence_or(code: str, facts: Mapping[str, str | int], otherwise: str) -> str:
    """`sentence`, or another text where none can be made, as in `message_or`."""
    return message_or(code, facts, otherwise).partition("\n")[0].strip()


def cut(words: str, limit: int) -> str:
    """The text in at most `limit` characters; cut at a word where there is one near, with an ellipsis."""
    if len(words) <= limit:
        return words
    kept = words[: limit - len(_ELLIPSIS)]
    at_word = kept.rstrip() if words[len(kept)].isspace() else kept.rpartition(" ")[0].rstrip()
    return (at_word if len(at_word) > limit // 2 else kept.rstrip()) + _ELLIPSIS


def one_line(words: str, limit: int) -> str:
    """The text on one line, in at most `limit` characters."""
    return cut(" ".join(words.split()), limit)


def as_sentence(words: str) -> str:
    """The text with a capital at its start; the rest stays as it is."""
    return words[:1].upper() + words[1:]


@cache
def _environment() -> Environment:
    environment = Environment(
        loader=FileSystemLoader(TEMPLATES),
        undefined=StrictUndefined,
        autoescape=select_autoescape(("html", "html.j2")),
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=False,
    )
    environment.filters |= {"as_sentence": as_sentence, "plain": plain, "duration": duration}
    return environment
