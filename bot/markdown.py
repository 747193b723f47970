"""Text of strangers in GitHub's Markdown: shown as it is, and never more than text.

GitHub Flavored Markdown: https://github.github.com/gfm/. Mentions and references are looked for in the
rendered text (docs.github.com: 'Basic writing and formatting syntax'), so that no backslash stops them.
"""

import re
import string
import unicodedata

_PUNCTUATION = re.compile(f"([{re.escape(string.punctuation)}])")
# Joins nothing and is not shown: it parts what GitHub would otherwise read as one word.
_WORD_JOINER = "\u2060"
_HARMLESS = str.maketrans({"<": "‹", ">": "›", "[": "(", "]": ")", "`": "'"})
# Some chats make a link of whatever looks like a host.
_DOTS = re.compile(r"(?<=\w\.)(?=[^\W\d])")
_MAGNETS = re.compile(r"(?<=[@#])(?=\S)|(?<=://)|(?i:(?<=www))(?=\.)|(?i:(?<=gh))(?=-\d)")


def plain(words: str, limit: int = 200) -> str:
    """The text on one line, in at most so many characters of its own, without any meaning as Markdown."""
    parted = _MAGNETS.sub(_WORD_JOINER, _shown(words, limit))
    return _PUNCTUATION.sub(r"\\\1", parted)


def inert(words: str, limit: int = 200) -> str:
    """The text on one line for chats and mail, whose markups differ: it calls nobody, and is no link."""
    parted = _DOTS.sub(_WORD_JOINER, _MAGNETS.sub(_WORD_JOINER, _shown(words, limit)))
    return parted.translate(_HARMLESS)


def _shown(words: str, limit: int) -> str:
    kept = "".join(" " if unicodedata.category(one)[0] in "CZ" else one for one in words)
    line = " ".join(kept.split())
    return line if len(line) <= limit else line[: limit - 1].rstrip() + "…"
