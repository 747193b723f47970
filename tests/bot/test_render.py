import pytest
from hypothesis import given
from hypothesis import strategies as st
from jinja2 import TemplateError

from bot.render import as_sentence, cut, one_line, sentence_or, text


@given(st.text(), st.integers(3, 200))
def test_a_cut_text_fits_and_begins_like_the_whole(words: str, limit: int):
    short = cut(words, limit)
    assert len(short) <= limit
    if len(words) <= limit:
        assert short == words
    else:
        assert short.endswith("…")
        assert words.startswith(short[:-1])


def test_a_cut_goes_between_words_where_it_can():
    assert cut("Deploying the shop to production", 26) == "Deploying the shop to…"
    assert cut("Deploying the shop", 14) == "Deploying the…"
    assert cut("x" * 30, 10) == "x" * 9 + "…"


@given(st.text())
def test_one_line_has_one_line(words: str):
    assert len(one_line(words, 140).splitlines()) <= 1


def test_a_missing_fact_is_an_error_and_an_old_failure_still_has_words():
    with pytest.raises(TemplateError):
        text("status/held.j2", {})
    assert sentence_or("no-such-code", {}, "It failed.") == "It failed."


def test_a_sentence_begins_with_a_capital_and_keeps_the_rest():
    assert as_sentence("cancelled by McDonald") == "Cancelled by McDonald"
