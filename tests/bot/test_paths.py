import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.intake.paths import pattern_problem, touches
from tests.steady import steady

names = st.lists(st.sampled_from(["src", "docs", "a.ts", "README.md", "slipway.toml"]), min_size=1).map(
    "/".join
)


@pytest.mark.parametrize(
    ("patterns", "root", "changed", "expected"),
    [
        ([], "", ["anything"], True),
        ([], "apps/web", ["apps/web/x.ts"], True),
        ([], "apps/web", ["apps/webx/x.ts"], False),
        ([], "apps/web", ["apps/api/x.ts", "README.md"], False),
        ([], "apps/web", ["package-lock.json"], True),
        ([], "apps/web", ["apps/package-lock.json"], True),
        ([], "apps/web", ["apps/api/package-lock.json"], False),
        ([], "apps/web", ["slipway.toml"], True),
        (["src/**"], "", ["docs/x.md"], False),
        (["src/**"], "", ["docs/x.md", "src/x.ts"], True),
        (["src/**", "!src/docs/**"], "", ["src/docs/x.md"], False),
        (["src/**", "!src/docs/**", "src/docs/api/**"], "", ["src/docs/api/x.md"], True),
        (["!docs/**"], "", ["docs/x.md"], False),
        (["!docs/**"], "", ["src/x.ts"], True),
        (["!docs/**"], "apps/web", ["src/x.ts"], False),
        (["shared/**"], "apps/web", ["shared/x.ts"], True),
        (["shared/**"], "apps/web", ["apps/web/x.ts"], False),
        (["!**"], "", ["yarn.lock"], True),
        (["*.md"], "", ["deep/down/x.md"], True),
        (["src/**"], "", None, True),
        (["src/**"], "", [], True),
    ],
)
def test_the_last_matching_rule_decides(
    patterns: list[str], root: str, changed: list[str] | None, expected: bool
):
    assert touches(patterns, root, changed).touches is expected


def test_the_verdict_tells_the_file_and_the_rule():
    verdict = touches(["src/**", "!**/*.md"], "", ["src/x.md", "src/a.ts"])
    assert (verdict.file, verdict.rule) == ("src/a.ts", "the pattern 'src/**'")
    assert touches(["!**/*.md"], "", ["src/x.md"]).rule == "the pattern '!**/*.md'"


@steady
@given(patterns=st.lists(names | names.map("!{}".format)), changed=st.lists(names), more=st.lists(names))
def test_more_changed_files_never_make_a_change_not_count(
    patterns: list[str], changed: list[str], more: list[str]
):
    if changed and touches(patterns, "", changed).touches:
        assert touches(patterns, "", changed + more).touches


@steady
@given(root=names, changed=st.lists(names, min_size=1))
def test_without_patterns_a_file_below_the_root_counts(root: str, changed: list[str]):
    assert touches([], root, [*changed, f"{root}/x"]).touches


@pytest.mark.parametrize("pattern", ["", "  ", "# x", "/src/**", "./src", "!", "a\\"])
def test_globs_that_can_not_work_are_told(pattern: str):
    assert pattern_problem(pattern)


@pytest.mark.parametrize("pattern", ["src/**", "!docs/**", "*.md", "a[bc]", "**"])
def test_globs_that_work_are_taken(pattern: str):
    assert pattern_problem(pattern) is None
