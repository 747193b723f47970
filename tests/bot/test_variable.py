"""The rules of variables: names, values, what is taken for a secret, what counts where, `.env` texts."""

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.domain.environment import EnvironmentKind
from bot.domain.ids import TenantId, VariableId
from bot.domain.variable import (
    MAX_SECRET,
    MAX_VALUE,
    Place,
    Reach,
    Scope,
    Use,
    Variable,
    differing,
    effective,
    is_secret,
    name_problem,
    value_problem,
)
from bot.domain.variable_wish import VariablesRefusedError, Wanted, check_room, settle, shown_name
from bot.intake.dotenv_text import read_dotenv

NOW = datetime(2026, 1, 1, tzinfo=UTC)
APP = Place(Scope.APP, 7, TenantId(1))
ALL = Reach.ALL


def variable(name: str, scope: Scope, reach: Reach = ALL, mark: str = "m", **more: bool) -> Variable:
    uses = {"secret": False, "build": True, "runtime": True, **more}
    return Variable(
        VariableId(1), scope, 1, name, reach, **uses, version=1, fingerprint=mark, size=1, changed_by="mona",
        created_at=NOW, changed_at=NOW,
    )  # fmt: skip


@pytest.mark.parametrize("name", ["A", "_a", "NODE_OPTIONS", "NODE_ENV", "CI", "ENV", "a" * 128, "SLIPWAYS"])
def test_names_that_can_be(name: str):
    assert name_problem(name) is None


@pytest.mark.parametrize(
    "name",
    ["", "1A", "A-B", "A B", "A=B", "É", "A\n", "A\0", "a" * 129, "PATH", "HOME", "LD_PRELOAD", "SLIPWAY_URL",
     "slipway_url", "SLIPWAY", "BASH_ENV", "IFS", "_", "DYLD_INSERT_LIBRARIES"],
)  # fmt: skip
def test_names_that_cannot_be(name: str):
    assert name_problem(name)


@given(st.text())
def test_a_name_is_one_that_every_shell_takes_or_it_is_refused(name: str):
    if name_problem(name) is None:
        assert name.isascii()
        assert name.isidentifier()


@pytest.mark.parametrize(
    ("value", "secret", "said"),
    [
        ("", False, None),
        ("line\nline\r\n\ttab \u2028 \U0001f6a2", True, None),
        ("é" * (MAX_VALUE // 2), False, None),
        ("é" * (MAX_VALUE // 2) + "!", False, "file"),
        ("a\0b", False, "zero byte"),
        ("\ud800", False, "surrogate"),
        ("abc", True, "4 bytes"),
        ("é!é", True, None),
        ("x" * MAX_SECRET, True, None),
        ("x" * (MAX_SECRET + 1), True, "secret"),
    ],
)
def test_values(value: str, said: str | None, *, secret: bool):
    problem = value_problem(value, secret=secret)
    assert (problem is None) if said is None else (problem is not None and said in problem)


@pytest.mark.parametrize(
    ("name", "secret"),
    [
        ("API_TOKEN", True), ("GITHUB_PAT", True), ("db_password", True), ("STRIPE_SECRET_KEY", True),
        ("DATABASE_URL", True), ("SENTRY_DSN", True), ("AWS_SECRET_ACCESS_KEY", True), ("SIGNING_KEY", True),
        ("API_URL", False), ("NEXT_PUBLIC_MAPS_API_KEY", False), ("VITE_TOKEN", False), ("KEYBOARD", False),
        ("NODE_ENV", False), ("PATH_PREFIX", False), ("MONKEY", False),
    ],
)  # fmt: skip
def test_what_is_taken_for_a_secret(name: str, *, secret: bool):
    assert is_secret(name, "a value of some length") is secret
    assert not is_secret(name, "abc")


def test_narrower_wins_and_one_kind_before_all_and_production_never_falls_into_previews():
    found = [
        variable("A", Scope.TENANT, mark="tenant"),
        variable("A", Scope.APP, Reach.PRODUCTION, "app in production"),
        variable("A", Scope.APP, mark="app"),
        variable("A", Scope.ENVIRONMENT, mark="environment", build=False),
        variable("B", Scope.APP, Reach.PRODUCTION, "b"),
        variable("C", Scope.PROJECT, Reach.PREVIEW, "c", runtime=False),
    ]

    def marks(kind: EnvironmentKind, use: Use) -> dict[str, str]:
        return {name: one.fingerprint for name, one in effective(found, kind, use).items()}

    assert marks(EnvironmentKind.PRODUCTION, Use.BUILD) == {"A": "app in production", "B": "b"}
    assert marks(EnvironmentKind.PREVIEW, Use.BUILD) == {"A": "app", "C": "c"}
    assert marks(EnvironmentKind.BRANCH, Use.BUILD) == {"A": "app"}
    assert marks(EnvironmentKind.PREVIEW, Use.RUNTIME) == {"A": "environment"}


_SOME = st.builds(
    variable,
    st.sampled_from("ABC"),
    st.sampled_from(Scope),
    st.sampled_from(Reach),
    st.text(max_size=3),
    build=st.booleans(),
)


@given(st.lists(_SOME, unique_by=lambda one: (one.scope, one.name, one.reach)))
def test_what_counts_does_not_depend_on_the_order_and_says_where_it_counts(found: list[Variable]):
    for kind in EnvironmentKind:
        counting = effective(found, kind, Use.BUILD)
        assert counting == effective(list(reversed(found)), kind, Use.BUILD)
        for name, one in counting.items():
            assert one.reach in (ALL, Reach(kind.value))
            assert one.rank == max(
                other.rank for other in found if other.name == name and other.counts_in(kind, Use.BUILD)
            )


def test_differing_names_what_was_set_changed_or_unset():
    assert differing({"A": "1", "B": "2", "C": "3"}, {"B": "2", "C": "4", "D": "5"}) == ["A", "C", "D"]


def refused(*wanted: Wanted, place: Place = APP) -> list[tuple[str, str]]:
    with pytest.raises(VariablesRefusedError) as caught:
        settle(place, {}, wanted)
    assert "hunter2" not in str(caught.value) + repr(caught.value) + repr(caught.value.facts)
    return [(one.name, one.about) for one in caught.value.problems]


def test_all_problems_are_told_at_once_and_no_value_is():
    wanted = [
        Wanted("PATH", ALL, "hunter2"),
        Wanted("A", ALL, "hunter2\0"),
        Wanted("B", ALL),
        Wanted("C", ALL, "hunter2", build=False, runtime=False),
        Wanted("D", ALL, "hunter2"),
        Wanted("D", ALL, "hunter2"),
        Wanted("E=hunter2", ALL, "x"),
    ]
    assert refused(*wanted) == [
        ("PATH", "name"), ("A", "value"), ("B", "value"), ("C", "build"), ("D", "appliesTo"), ("E", "name"),
    ]  # fmt: skip
    inside = Place(Scope.ENVIRONMENT, 3, TenantId(1))
    assert refused(Wanted("A", Reach.PREVIEW, "x"), place=inside) == [("A", "appliesTo")]
    assert "hunter2" not in repr(Wanted("A", ALL, "hunter2"))


def test_a_name_is_shown_in_one_line():
    assert shown_name("A\n\x1b[31mB") == "A\ufffd\ufffd[31mB"


def test_a_scope_has_room_for_so_much():
    many = [Wanted(f"A{number}", ALL, "x", secret=False) for number in range(251)]
    check_room(APP, [], many[:250])
    large = [Wanted(f"A{number}", ALL, "x" * MAX_VALUE, secret=False) for number in range(5)]
    hidden = [Wanted(f"A{number}", ALL, "x" * MAX_SECRET, secret=True) for number in range(4)]
    for wanted, said in ((many, "250 variables"), (large, "All values"), (hidden, "All secrets")):
        with pytest.raises(VariablesRefusedError, match=said):
            check_room(APP, [], wanted)


def test_the_text_of_a_file():
    text = (
        "\ufeff# a comment\nA=1\nexport B='two words' # why\nC=\"a\\nb\"\nD=\nA=last\nE=a=b#c\n"
        'KEY="-----BEGIN-----\nabc\n-----END-----"\nF=${A}\n'
    )
    read = read_dotenv(text)
    assert read.unread == []
    assert read.values == {
        "A": "last", "B": "two words", "C": "a\nb", "D": "", "E": "a=b#c", "F": "${A}",
        "KEY": "-----BEGIN-----\nabc\n-----END-----",
    }  # fmt: skip
    assert list(read_dotenv("A=1\n\nwhat is this\nB\nC='open\n").unread) == [3, 4, 5]


@given(st.text())
def test_no_text_fails(text: str):
    read = read_dotenv(text)
    assert all(isinstance(value, str) for value in read.values.values())


@given(
    st.dictionaries(
        st.from_regex(r"[A-Z]{1,5}", fullmatch=True), st.text(st.characters(exclude_categories=["Cc", "Cs"]))
    )
)
def test_what_is_quoted_comes_back(values: dict[str, str]):
    quoted = {name: value.replace("\\", "\\\\").replace("'", "\\'") for name, value in values.items()}
    assert read_dotenv("".join(f"{name}='{value}'\n" for name, value in quoted.items())).values == values
