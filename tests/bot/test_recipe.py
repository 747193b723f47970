import json
import time
import tomllib
from collections.abc import Iterable, Iterator
from datetime import timedelta
from typing import Any, cast

import pytest
from hypothesis import HealthCheck, given, reject, settings
from hypothesis import strategies as st

from bot.errors import ErrorCode, UserError
from bot.intake.mistakes import key_of
from bot.intake.recipe import (
    build_part,
    origin,
    parse,
    policy_from_json,
    policy_part,
    policy_to_json,
    read,
)
from bot.intake.recipe_file import BuildPart, Policy
from bot.intake.toml_places import places
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
        ("[build]\nrequired_variables = ['A', 'A-B']", "build.required_variables[1]", 2),
        ("[build]\nrequired_variables = ['LD_PRELOAD']", "build.required_variables[0]", 2),
        ("[build]\nrequired_variables = 'A'", "build.required_variables", 2),
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
    known = "one of root_directory, install, command, output, required_variables"
    assert caught.value.facts["expected"] == known


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("[build]\ncommnd = 'x'", "2:1: build.commnd is a key that Slipway does not know; write command"),
        ("[site]\n  spa = 'yes'", '2:3: site.spa is "yes"; write true or false, without quotes'),
        ("[policy]\npaths = 'a'", '2:1: policy.paths is "a"; write a list, such as ["src/**"]'),
        (
            "[policy]\npaths = [\n  'a',\n  5]",
            '4:3: policy.paths[1] is 5; write text in quotes, such as "src/**"',
        ),
        (
            "policy = {previews = {comment = 'commnt'}}",
            '1:23: policy.previews.comment is "commnt"; write "comment"',
        ),
        (
            "[policy.previews]\nlimit = '3'",
            '2:1: policy.previews.limit is "3"; write a whole number from 1 to 1000, without quotes',
        ),
        (
            "[policy.previews]\nidle = '3 days'",
            '2:1: policy.previews.idle is "3 days"; write a number and m, h, d or w, such as "72h"',
        ),
        (
            "[policy.checks.production]\ntimeout = '1h'",
            '1:16: policy.checks.production.require is missing; write a list, such as ["test"]',
        ),
        (
            "[policy.previews]\nbase_branches = ['main', '/x']",
            '2:26: policy.previews.base_branches[1] is "/x"; write a glob such as "src/**" (it is relative',
        ),
        ("['apps'.\"w eb\".build]", '1:9: apps."w eb" is the name "w eb"; write an app\'s name as'),
        (
            "x = 1979-05-27",
            "1:1: x is a key that Slipway does not know; write one of build, site, policy, apps",
        ),
        ("build = 1979-05-27", "1:1: build is a date or a time; write a table, such as build = "),
        ('[build]\ncommand = "a\nb"', "2:13: the file is not TOML: illegal character '\\n'; write TOML"),
        ("[build", "1:7: the file is not TOML: expected ']' at the end of a table declaration; write TOML"),
    ],
)
def test_every_mistake_says_where_it_is_and_what_would_be_right(text: str, said: str):
    reading = read(text.encode())
    (one,) = reading.mistakes
    place = reading.place(one)
    shown = f"{place.line}:{place.column}: {key_of(one.path)} is {one.found}; write {one.expected}"
    assert shown.startswith(said)


def test_all_mistakes_are_found_in_the_order_of_the_file():
    text = b"[site]\nspa = 1\n[policy]\npaths = [1, 2]\n[build]\nx = 1\noutput = ''"
    keys = [key_of(one.path) for one in read(text).mistakes]
    assert keys == ["site.spa", "policy.paths[0]", "policy.paths[1]", "build.x", "build.output"]
    with pytest.raises(UserError) as caught:
        parse(text)
    assert (caught.value.facts["key"], caught.value.facts["more"]) == ("site.spa", 4)


SEVERAL = b"""
[build]
command = "make"
output = "public"
[policy]
paths = ["src/**"]
environments = {staging = "develop"}
[apps.web.build]
output = "dist"
[apps.web.policy]
environments = {qa = "qa"}
[apps.api.policy]
paths = 5
"""


def test_an_apps_own_table_wins_key_by_key():
    recipe = parse(SEVERAL, "web")
    assert recipe.build.build == BuildPart(command="make", output="dist")
    assert recipe.policy == Policy({"staging": "develop", "qa": "qa"}, ("src/**",))
    assert parse(SEVERAL, "other").build.build.output == "public"


def test_a_mistake_in_another_apps_table_is_not_this_apps():
    assert parse(SEVERAL, "web")
    for app in ("api", None):
        with pytest.raises(UserError):
            parse(SEVERAL, app)
    with pytest.raises(UserError):
        policy_part(SEVERAL, "api")


def test_a_value_comes_from_the_apps_table_or_the_files():
    values = read(SEVERAL).values
    assert origin(values, "web", ("build", "output")) == ("apps", "web", "build", "output")
    assert origin(values, "web", ("build", "command")) == ("build", "command")
    assert origin(values, "web", ("build", "install")) is None


def test_checks_are_those_of_the_place():
    policy = parse(
        b"[policy.checks]\npreview = {require = ['a']}\nqa = {require = ['b'], timeout = '2h'}"
    ).policy
    found = policy.checks_for("preview/pr-12")
    assert found is not None
    assert (found.require, found.patience) == (("a",), timedelta(hours=1))
    assert policy.checks_for("production") is None
    assert policy.previews.idle_after == timedelta(hours=72)
    assert policy.previews.gone_after == timedelta(days=30)


def test_a_mistake_in_the_build_part_does_not_hide_the_policy():
    assert policy_part(b"[build]\nx = 1\n[policy]\npaths = ['a']").paths == ("a",)
    with pytest.raises(UserError):
        build_part(b"[policy]\nx = 1")


@steady
@given(st.binary() | st.text().map(str.encode) | st.text("[]={}\"'.\nab1,").map(str.encode))
def test_any_file_is_read_or_refused(text: bytes):
    for reader in (parse, build_part, policy_part):
        try:
            reader(text, "web")
        except UserError as error:
            assert error.code is ErrorCode.RECIPE_INVALID  # noqa: PT017 most inputs raise, some don't


keys = st.sampled_from(["a", "a-b", '"x y"', "'q.r'", '"\\u00e9"', "build", "apps", "9"])
scalars = st.sampled_from(
    [
        "1",
        "true",
        "-inf",
        "1979-05-27T07:32:00Z",
        "'#'",
        '"]"',
        '"""a\n"" = b\\""""',
        "'''x\n[y]\n''''",
        "0x1F",
    ]
)
blanks = st.sampled_from(["", " ", "  # [not] = a table\n", "\n", "\r\n\t"])
toml_values = st.recursive(
    scalars,
    lambda inner: (
        st.lists(st.tuples(blanks, inner, blanks), max_size=3).map(
            lambda items: "[" + ",".join("".join(item) for item in items) + "]"
        )
        | st.lists(st.tuples(keys, inner), max_size=3).map(
            lambda pairs: "{" + ", ".join(f"{key} = {value}" for key, value in pairs) + "}"
        )
    ),
    max_leaves=6,
)
dotted = st.lists(keys, min_size=1, max_size=3).map(" . ".join)
toml_lines = (
    st.tuples(dotted, toml_values, blanks).map(lambda line: f"{line[0]} = {line[1]} {line[2]}\n")
    | dotted.map("[{}]\n".format)
    | dotted.map("[[ {} ]]  # list\n".format)
)


def all_paths(value: Any, path: tuple[str | int, ...] = ()) -> Iterator[tuple[str | int, ...]]:
    if path:
        yield path
    inner: Iterable[tuple[Any, Any]] = ()
    if isinstance(value, dict):
        inner = cast("dict[Any, Any]", value).items()
    elif isinstance(value, list):
        inner = enumerate(cast("list[Any]", value))
    for key, item in inner:
        yield from all_paths(item, (*path, key))


@settings(deadline=None, max_examples=150, suppress_health_check=[HealthCheck.filter_too_much])
@given(lines=st.lists(toml_lines, max_size=5), first=blanks)
def test_every_value_of_a_file_has_its_place(lines: list[str], first: str):
    text = first + "".join(lines)
    try:
        values = tomllib.loads(text)
    except tomllib.TOMLDecodeError:
        reject()
    found = places(text).found
    assert set(all_paths(values)) <= set(found)
    rows = text.split("\n")
    for path, place in found.items():
        word = path[-1]
        if isinstance(word, str):
            here = rows[place.line - 1][place.column - 1 :]
            assert here.startswith((word, f'"{word}', f"'{word}", '"\\u00e9"')), path


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (".".join(["a"] * 30_000) + " = 1", "a key of too many parts"),
        ("x = {" + ".".join(["'a'"] * 15_000) + " = 1}", "a key of too many parts"),
        ("[" + " . ".join(['"a"'] * 9_000) + "]", "a key of too many parts"),
        ("x = " + "[" * 30_000, "nested too deeply"),
        ("x = " + "9" * 30_000, "limit"),
        ("x = 1" * 20_000, "larger than 65536 bytes"),
        ("\n".join(f"a{number} = 1" for number in range(5_000)), "a key that Slipway does not know"),
    ],
)
def test_a_file_that_is_made_to_be_slow_is_refused_quickly(text: str, said: str):
    started = time.thread_time()
    with pytest.raises(UserError) as caught:
        parse(text.encode())
    assert said in str(caught.value.facts["found"])
    assert time.thread_time() - started < 2


def test_tables_may_be_as_deep_as_they_like_without_harm():
    keys = ".".join(["a"] * 49)
    deep = "{" + f"{keys} = {{" * 100 + "}" * 101
    text = f"build = {deep}\n[apps.web]\nbuild = {deep}\n[policy]\npaths = ['x']\n"
    assert policy_part(text.encode(), "web").paths == ("x",)


def test_a_policy_survives_the_store():
    policy = Policy({"staging": "develop"}, ("src/**",))
    assert policy_from_json(json.loads(json.dumps(policy_to_json(policy)))) == policy
    assert policy_from_json(None) is None
    assert policy_from_json({"paths": 5}) is None
