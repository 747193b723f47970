"""A log's lines as HTML: numbered, with anchors. What terminals make of it went when it was written."""

from collections.abc import Sequence

from markupsafe import Markup, escape

from bot.logs.line import OURS, Line

_STREAMS = ("stdout", "stderr", OURS)


def lines_html(lines: Sequence[Line]) -> Markup:
    """The lines, with a heading where another step begins."""
    out: list[str] = []
    step = ""
    for line in lines:
        if line.step != step:
            step = line.step
            out.append(f'<div class="step-mark">{escape(step)}</div>')
        stream = line.stream if line.stream in _STREAMS else OURS
        out.append(
            f'<div class="line {stream}" id="L{line.n:d}">'
            f'<a href="#L{line.n:d}" title="{escape(line.at)}">{line.n:d}</a>'
            f"<span>{escape(line.text)}</span></div>"
        )
    # Each piece was escaped above; joining 2,000 Markup objects would look at all of them again.
    return Markup("".join(out))  # noqa: S704
