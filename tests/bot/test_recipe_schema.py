import tomllib
from pathlib import Path
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from jsonschema import Draft202012Validator
from msgspec import inspect

from bot.intake.mistakes import mistakes
from bot.intake.recipe_file import SlipwayFile
from bot.intake.recipe_schema import schema
from tests.steady import steady

SCHEMA = schema("http://localhost:8000")
VALIDATOR = Draft202012Validator(SCHEMA)
KIND = inspect.type_info(SlipwayFile)
DOCUMENT = (Path(__file__).parents[2] / "docs" / "slipway-toml.md").read_text()
GOOD = DOCUMENT.partition("```toml\n")[2].partition("```")[0]
WRONG = [
    "bild = 1",
    "[build]\ncommand = ''",
    "[build]\noutput = '/etc'",
    "[build]\nrequired_variables = ['1A']",
    "[build]\nroot_directory = 'a/../../b'",
    "[site]\nspa = 'yes'",
    "[policy]\nskip_markers = ['skip']",
    "[policy.environments]\nproduction = 'main'",
    "[policy.environments]\npr-1 = 'main'",
    "[policy.environments]\n'qa\\n' = 'main'",
    "[policy.checks.production]\ntimeout = '1h'",
    "[policy.checks.production]\nrequire = []",
    "[policy.previews]\nlimit = 0",
    "[policy.previews]\nlimit = true",
    "[policy.previews]\nidle = '3 days'",
    "[policy.previews]\ncomment = 'yes'",
    "[apps.Web]\n",
    "[apps.web]\nname = 'x'",
]


def test_the_schema_is_one_and_says_what_each_key_is_for():
    Draft202012Validator.check_schema(SCHEMA)
    for name, one in SCHEMA["$defs"].items():
        for key, rule in one["properties"].items():
            assert "description" in rule or "$ref" in rule, (name, key)


def test_the_documented_file_has_every_key_and_is_valid():
    values = tomllib.loads(GOOD)
    assert list(mistakes(values, KIND)) == []
    VALIDATOR.validate(values)
    said = {key for one in ("BuildPart", "SitePart", "Previews", "Checks", "Policy") for key in _keys(one)}
    assert [key for key in said if key not in GOOD] == []


def _keys(name: str) -> list[str]:
    return list(SCHEMA["$defs"][name]["properties"])


@pytest.mark.parametrize("text", WRONG)
def test_what_is_wrong_is_wrong_by_both(text: str):
    values = tomllib.loads(text)
    assert list(mistakes(values, KIND))
    assert not VALIDATOR.is_valid(values)


def test_the_demos_file_is_valid():
    text = (Path(__file__).parents[2] / "templates" / "demo" / "slipway.toml").read_text()
    VALIDATOR.validate(tomllib.loads(text))


words = st.sampled_from(
    ["a", "", "main", "[x]", "3d", "Big", "a--b", "/x", "..", "preview", "wait", "off", "a\n"]
)
scalars = words | st.booleans() | st.integers(-1, 1001)
keys = st.sampled_from(
    sorted(
        {key for one in SCHEMA["$defs"].values() for key in one["properties"]} | {"qa", "pr-1", "x", "a\n"}
    )
)
tables = st.recursive(
    scalars | st.lists(scalars, max_size=2),
    lambda inner: st.dictionaries(keys, inner, max_size=3),
    max_leaves=8,
)


@steady
@given(
    part=st.sampled_from(["build", "site", "policy", "previews", "checks", "apps"]),
    value=st.dictionaries(keys, tables, max_size=3),
)
@example(part="checks", value={"qa": {"require": ["a"], "timeout": "3d"}})
def test_the_schema_takes_what_the_reader_takes(part: str, value: dict[str, Any]):
    whole = {"policy": {part: value}} if part in ("previews", "checks") else {part: value}
    assert VALIDATOR.is_valid(whole) is (list(mistakes(whole, KIND)) == [])
