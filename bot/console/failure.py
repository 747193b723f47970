"""What a failed deployment's page says: the message of its error code, and what to try."""

from dataclasses import dataclass

from jinja2 import TemplateError
from markdown_it import MarkdownIt
from markupsafe import Markup

from bot import render
from bot.domain.deployment import Blame, Failure
from bot.wording import clean

# Facts hold what others wrote: no HTML, no pictures and no links come from them.
_MARKDOWN = MarkdownIt("zero", {"html": False}).enable(["backticks", "emphasis", "list", "fence", "escape"])


@dataclass(frozen=True)
class Explained:
    """One sentence of what happened, and what to do as HTML."""

    code: str
    sentence: Markup
    advice: Markup
    is_ours: bool


def explain(failure: Failure) -> Explained:
    """The text of a failure, as HTML that holds no markup of others."""
    seen = "\n".join(map(clean, message(failure).split("\n")))
    sentence, _, advice = seen.strip().partition("\n")
    # markdown-it escapes what it was given; only its own tags are left.
    said, advised = (Markup(_MARKDOWN.render(text)) for text in (sentence, advice.strip()))  # noqa: S704
    return Explained(failure.code, said, advised, failure.blame is Blame.PLATFORM)


def message(failure: Failure) -> str:
    """The text of a failure's code as Markdown; its bare facts when they do not fit the text."""
    try:
        return render.message(failure.code, failure.facts)
    except TemplateError:
        facts = "\n".join(f"- {name}: {value}" for name, value in failure.facts.items())
        return f"The deployment failed: {failure.code}.\n\n{facts}"
