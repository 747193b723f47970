import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.intake.paths import Scope, pattern_problem, touches
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
    assert touches(patterns, Scope(root), changed).touches is expected


WEB = Scope("apps/web", {"packages/ui": "apps/web needs packages/ui"}, "")


@pytest.mark.parametrize(
    ("patterns", "changed", "rule"),
    [
        ([], "packages/ui/x.ts", "apps/web needs packages/ui"),
        ([], "packages/uix/x.ts", None),
        ([], "packages/api/x.ts", None),
        ([], "package.json", "it configures the workspace that apps/web is in"),
        ([], "tsconfig.base.json", "it configures the workspace that apps/web is in"),
        ([], "patches/left-pad.patch", "it configures the workspace that apps/web is in"),
        ([], ".yarn/releases/yarn.cjs", "it configures the workspace that apps/web is in"),
        ([], "README.md", None),
        ([], "docs/package.json", None),
        ([], "pnpm-lock.yaml", "pnpm-lock.yaml always counts"),
        (["!**/*.md"], "packages/ui/README.md", None),
        (["!**/*.md"], "packages/ui/x.ts", "apps/web needs packages/ui"),
        (["apps/web/**"], "packages/ui/x.ts", None),
    ],
)
def test_what_an_app_needs_and_what_configures_it_counts(patterns: list[str], changed: str, rule: str | None):
    verdict = touches(patterns, WEB, [changed])
    assert (verdict.rule if verdict.touches else None) == rule


def test_a_workspace_below_the_top_is_configured_there():
    scope = Scope("js/apps/web", {}, "js")
    assert touches([], scope, ["js/turbo.json"]).touches
    assert not touches([], scope, ["turbo.json"]).touches


def test_when_unsure_anything_counts():
    verdict = touches([], Scope("web", unsure="web/package.json can't be read"), ["api/x"])
    assert (verdict.touches, verdict.rule) == (True, "web/package.json can't be read")


def test_the_verdict_tells_the_file_and_the_rule():
    verdict = touches(["src/**", "!**/*.md"], Scope(), ["src/x.md", "src/a.ts"])
    assert (verdict.file, verdict.rule) == ("src/a.ts", "the pattern 'src/**'")
    assert touches(["!**/*.md"], Scope(), ["src/x.md"]).rule == "the pattern '!**/*.md'"


@steady
@given(patterns=st.lists(names | names.map("!{}".format)), changed=st.lists(names), more=st.lists(names))
def test_more_changed_files_never_make_a_change_not_count(
    patterns: list[str], changed: list[str], more: list[str]
):
    if changed and touches(patterns, Scope(), changed).touches:
        assert touches(patterns, Scope(), changed + more).touches


@steady
@given(root=names, changed=st.lists(names, min_size=1))
def test_without_patterns_a_file_below_the_root_counts(root: str, changed: list[str]):
    assert touches([], Scope(root), [*changed, f"{root}/x"]).touches


@pytest.mark.parametrize("pattern", ["", "  ", "# x", "/src/**", "./src", "!", "a\\"])
def test_globs_that_can_not_work_are_told(pattern: str):
    assert pattern_problem(pattern)


@pytest.mark.parametrize("pattern", ["src/**", "!docs/**", "*.md", "a[bc]", "**"])
def test_globs_that_work_are_taken(pattern: str):
    assert pattern_problem(pattern) is None
