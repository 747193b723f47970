import html
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.markdown import plain
from tests.gfm import rendered, rows

_SYNTAX = st.sampled_from(
    "@ # | \\ ` * _ ~ [ ] ( ) < > ! & : / . - + = \n \r \u2028 \x00 \x85 http:// https:// www. mailto: "
    "@octocat GH-1 #1 acme/shop#2 <script> <!-- --> </td> | |--| \\| \\\\| `| &amp; &#64; ```".split(" ")
)
_STRANGE = st.lists(st.one_of(_SYNTAX, st.text(max_size=6)), max_size=12).map("".join)


def in_a_cell(cell: str) -> str:
    return rendered(f"| a | b |\n|---|---|\n| {cell} | end |\n")


@pytest.mark.parametrize(
    ("words", "shown"),
    [
        ("Fix the @octocat mention (#12)", "Fix the @\u2060octocat mention (#\u206012)"),
        ("a | b\nc", "a | b c"),
        ("<img src=x onerror=alert(1)>", "<img src=x onerror=alert(1)>"),
        ("[click](https://evil.example)", "[click](https://\u2060evil.example)"),
        ("www.evil.example and GH-7", "www\u2060.evil.example and GH\u2060-7"),
        ("x" * 300, "x" * 199 + "…"),
        ("\u202egnp.exe", "gnp.exe"),
    ],
)
def test_strange_words_are_shown_as_words(words: str, shown: str):
    assert rows(in_a_cell(plain(words)))[1] == [html.escape(shown, quote=False), "end"]


@given(_STRANGE)
def test_nothing_breaks_out_of_a_cell(words: str):
    page = in_a_cell(plain(words))
    heading, cells = rows(page)
    assert heading == ["a", "b"]
    assert len(cells) == 2
    assert cells[1] == "end"
    assert set(re.findall(r"</?(\w+)", page)) <= {"table", "thead", "tbody", "tr", "th", "td"}
    shown = html.unescape(cells[0])
    assert not re.search(r"[@#]\w", shown)
    assert not re.search(r"://\w", shown)
