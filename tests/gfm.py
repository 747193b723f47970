"""Markdown as GitHub renders it: by GitHub's own cmark-gfm."""

import re

import cmarkgfm  # pyright: ignore[reportMissingTypeStubs]


def rendered(text: str) -> str:
    """The page, raw HTML left out."""
    return str(cmarkgfm.github_flavored_markdown_to_html(text))  # pyright: ignore[reportUnknownMemberType, reportUnknownArgumentType]


def rows(page: str) -> list[list[str]]:
    """The cells of every table's rows, headings too."""
    lines = re.findall(r"<tr>(.*?)</tr>", page, re.DOTALL)
    return [re.findall(r"<t[dh]>(.*?)</t[dh]>", line, re.DOTALL) for line in lines]
