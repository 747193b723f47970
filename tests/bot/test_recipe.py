import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.errors import ErrorCode, UserError
from bot.intake.recipe import (
    build_part,
    parse,
    policy_from_json,
    policy_part,
    policy_to_json,
)
from bot.intake.recipe_file import BuildPart, Policy
from tests.steady import steady

WHOLE = b"""\
# How the shop is built
[build]
command = "npm run build"
install = "npm ci"
output = "dist"

[site]
spa = true

[policy]
paths = ["src/**", "!docs/**"]
environments = {staging = "develop", qa = "release/next"}
"""


def test_the_whole_file_is_read():
    recipe = parse(WHOLE)
    assert recipe.build.build == BuildPart(command="npm run build", install="npm ci", output="dist")
    assert recipe.build.site.spa
    assert recipe.policy == Policy({"staging": "develop", "qa": "release/next"}, ("src/**", "!docs/**"))
    assert build_part(WHOLE) == recipe.build
    assert policy_part(WHOLE) == recipe.policy


def test_an_empty_file_is_a_recipe():
    assert parse(b"").policy == Policy()


@pytest.mark.parametrize(
    ("text", "key", "line"),
    [
        ("[build]\ncommnd = 'x'", "build.commnd", 2),
        ("\n[bild]\ncommand = 'x'", "bild", 2),
        ("[build]\n\ncommand = 5", "build.command", 3),
        ("[site]\nspa = 'yes'", "site.spa", 2),
        ("[build]\noutput = '../x'", "build.output", 2),
        ("[build]\noutput = '/etc'", "build.output", 2),
        ("[build]\ncommand = ''", "build.command", 2),
        ("[policy]\npaths = 'src/**'", "policy.paths", 2),
        ("[policy]\npaths = ['src/**', '/x']", "policy.paths[1]", 2),
        ("[policy]\npaths = [5]", "policy.paths[0]", 2),
        ("[policy]\nenvironments = {Staging = 'x'}", "policy.environments.Staging", 2),
        ("[policy.environments]\nproduction = 'x'", "policy.environments.production", 2),
        ("[policy.environments]\npr-12 = 'x'", "policy.environments.pr-12", 2),
        ("[policy.environments]\nqa = 'a b'", "policy.environments.qa", 2),
        ("[build]\ncommand = \n", "the file", 2),
        ("build = 1", "build", 1),
    ],
)
def test_a_mistake_is_told_with_its_key_and_line(text: str, key: str, line: int):
    with pytest.raises(UserError) as caught:
        parse(text.encode())
    assert caught.value.code is ErrorCode.RECIPE_INVALID
    assert (caught.value.facts["key"], caught.value.facts["line"]) == (key, line)
    assert caught.value.facts["found"]
    assert caught.value.facts["expected"]


def test_an_unknown_key_is_answered_with_the_known_ones():
    with pytest.raises(UserError) as caught:
        parse(b"[build]\nout = 'x'")
    assert caught.value.facts["expected"] == "output"
    with pytest.raises(UserError) as caught:
        parse(b"[build]\nzzz = 'x'")
    assert caught.value.facts["expected"] == "one of root_directory, install, command, output"


def test_a_mistake_in_the_build_part_does_not_hide_the_policy():
    assert policy_part(b"[build]\nx = 1\n[policy]\npaths = ['a']").paths == ("a",)
    with pytest.raises(UserError):
        build_part(b"[policy]\nx = 1")


@steady
@given(st.binary() | st.text().map(str.encode) | st.text("[]={}\"'.\nab1,").map(str.encode))
def test_any_file_is_read_or_refused(text: bytes):
    for read in (parse, build_part, policy_part):
        try:
            read(text)
        except UserError as error:
            assert error.code is ErrorCode.RECIPE_INVALID  # noqa: PT017 most inputs raise, some don't


def test_a_policy_survives_the_store():
    policy = Policy({"staging": "develop"}, ("src/**",))
    assert policy_from_json(json.loads(json.dumps(policy_to_json(policy)))) == policy
    assert policy_from_json(None) is None
    assert policy_from_json({"paths": 5}) is None
