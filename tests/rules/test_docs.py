"""What the written docs name is there, and what is there is named."""

import re
from pathlib import Path
from typing import Any

import pytest

from bot.cli.main import Commands
from bot.intake.recipe_schema import schema

ROOT = Path(__file__).resolve().parents[2]
DOCS = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
_OURS = ("bot", "jobs", "tests", "templates", "docs")


@pytest.mark.parametrize("doc", DOCS, ids=lambda doc: doc.name)
def test_files_and_links_of_the_docs_lead_somewhere(doc: Path):
    text = doc.read_text()
    named = re.findall(r"`([a-z_]+(?:/[\w.-]+)+/?)`", text)
    gone = [name for name in named if name.startswith(_OURS) and not (ROOT / name).exists()]
    links = [link.partition("#") for link in re.findall(r"\]\(([^)]+)\)", text) if "://" not in link]
    for path, _, heading in links:
        target = doc.parent / path if path else doc
        if not target.exists() or (heading and heading not in headings(target)):
            gone.append(f"{path}#{heading}")
    assert gone == []


def headings(doc: Path) -> set[str]:
    """Anchors as GitHub makes them."""
    found = re.findall(r"^#+ (.+)$", doc.read_text(), re.MULTILINE)
    return {re.sub(r"[^\w -]", "", one.lower()).replace(" ", "-") for one in found}


def test_every_key_of_slipway_toml_is_told():
    told = (ROOT / "docs" / "slipway-toml.md").read_text()
    assert sorted(key for key in keys(schema("https://slipway.example")) if key not in told) == []


def keys(node: Any) -> set[str]:
    """The names of all properties of a schema."""
    if isinstance(node, list):
        return set[str]().union(*(keys(one) for one in node))  # pyright: ignore[reportUnknownVariableType]
    if not isinstance(node, dict):
        return set()
    found: set[str] = set(node.get("properties", {}))  # pyright: ignore[reportUnknownArgumentType, reportUnknownMemberType]
    return found.union(*(keys(one) for one in node.values()))  # pyright: ignore[reportUnknownVariableType, reportUnknownArgumentType]


def test_every_command_is_in_the_readme():
    told = (ROOT / "README.md").read_text().partition("| command | does |")[2]
    assert sorted(name for name in Commands.members if not re.search(rf"\b{name}\b", told)) == []
