import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.intake.decide import (
    Decision,
    Deploy,
    Facts,
    Ignore,
    Reason,
    Skip,
    Target,
    asks_for_changes,
    decide,
    decide_alone,
)
from bot.intake.events import parse
from bot.intake.recipe_file import Policy
from tests.bot.test_events import json_objects, json_values
from tests.fakes import payloads
from tests.fakes.contexts import make_app
from tests.steady import steady

SHA, OTHER = "a" * 40, "b" * 40
STAGING = Policy({"staging": "develop"})


def decided(
    policy: Policy = STAGING, changed: list[str] | None = None, app: dict[str, Any] | None = None, **push: Any
) -> Decision:
    values: dict[str, Any] = {"after": SHA, "before": OTHER, **push}
    event = parse("push", json.dumps(payloads.push(**values)).encode())
    return decide(event, make_app("file:///x", **(app or {})), Facts(policy, changed))


def test_a_push_to_the_production_branch_deploys():
    decision = decided(message="Fix the till\n\nbody")
    assert isinstance(decision, Deploy)
    assert decision.environments == (Target("production", "main"),)
    assert (decision.commit.sha, decision.commit.message) == (SHA, "Fix the till\n\nbody")
    assert decision.commit.author == "somebody"
    assert (decision.code, decision.sentence) == (
        Reason.PRODUCTION_BRANCH,
        "Pushed to main, the production branch.",
    )


def test_a_push_to_a_mapped_branch_deploys_there():
    decision = decided(ref="refs/heads/develop")
    assert isinstance(decision, Deploy)
    assert decision.environments == (Target("staging", "develop"),)
    assert decision.sentence == "Pushed to develop, which environments.staging names."


def test_one_branch_may_feed_several_environments():
    decision = decided(Policy({"qa": "main", "staging": "main"}))
    assert isinstance(decision, Deploy)
    assert [target.name for target in decision.environments] == ["production", "qa", "staging"]


@pytest.mark.parametrize(
    "marker",
    [
        "[skip ci]",
        "[ci skip]",
        "[no ci]",
        "[skip actions]",
        "[actions skip]",
        "[skip cd]",
        "[skip deploy]",
        "[deploy skip]",
        "[Skip CI]",
        "[DEPLOY SKIP]",
    ],
)
def test_a_marker_in_the_head_commit_skips(marker: str):
    decision = decided(message=f"Update\n\nwords {marker} words")
    assert isinstance(decision, Skip)
    assert decision.environments == (Target("production", "main"),)
    assert (decision.code, decision.sentence) == (
        Reason.SKIP_MARKER,
        f"Skipped: the commit's message says {marker}.",
    )


@pytest.mark.parametrize("message", ["skip ci", "[skipci]", "[ skip ci ]", "[skip  ci]", ""])
def test_other_words_do_not_skip(message: str):
    assert isinstance(decided(message=message), Deploy)


@pytest.mark.parametrize(
    ("push", "code"),
    [
        ({"ref": "refs/heads/feature"}, Reason.BRANCH_UNUSED),
        ({"after": payloads.ZEROS}, Reason.BRANCH_DELETED),
        ({"after": payloads.ZEROS, "ref": "refs/heads/develop"}, Reason.BRANCH_DELETED),
        ({"after": payloads.ZEROS, "ref": "refs/heads/feature"}, Reason.BRANCH_UNUSED),
        ({"ref": "refs/tags/v1"}, Reason.TAG),
        ({"ref": "refs/tags/v1", "after": payloads.ZEROS}, Reason.TAG),
        ({"ref": "refs/notes/commits"}, Reason.REF_UNUSED),
        ({"app": {"enabled": False}}, Reason.APP_DISABLED),
    ],
)
def test_what_is_ignored_has_a_reason(push: dict[str, Any], code: Reason):
    decision = decided(**push)
    assert isinstance(decision, Ignore)
    assert decision.code is code


def test_events_without_an_app_have_a_reason():
    known = json.dumps(payloads.push(after=SHA)).encode()
    assert decide_alone(parse("push", known)).sentence == "No app is made from acme/shop."
    assert decide_alone(parse("star", b"{}")).code is Reason.EVENT_UNUSED
    assert decide_alone(parse("push", b"{}")).code is Reason.PAYLOAD_UNUSABLE


def test_paths_decide_when_the_files_are_known():
    policy = Policy(paths=("src/**",))
    skipped = decided(policy, ["docs/x.md"])
    assert isinstance(skipped, Skip)
    assert skipped.code is Reason.PATHS_UNTOUCHED
    assert "docs/x.md" in skipped.sentence
    assert isinstance(decided(policy, ["src/x.ts"]), Deploy)
    assert isinstance(decided(policy, None), Deploy)


def test_a_root_directory_is_a_path_rule():
    app = {"root_directory": "apps/web"}
    assert isinstance(decided(changed=["apps/api/x"], app=app), Skip)
    assert isinstance(decided(changed=["apps/web/x"], app=app), Deploy)


@pytest.mark.parametrize("push", [{"forced": True}, {"before": payloads.ZEROS}])
def test_after_a_force_push_or_a_new_branch_the_files_tell_nothing(push: dict[str, Any]):
    decision = decided(Policy(paths=("src/**",)), ["docs/x.md"], **push)
    assert isinstance(decision, Deploy)


def test_files_are_asked_for_only_where_a_rule_needs_them():
    def asks(policy: Policy, app: dict[str, Any] | None = None, **push: Any) -> bool:
        values: dict[str, Any] = {"after": SHA, "before": OTHER, **push}
        event = parse("push", json.dumps(payloads.push(**values)).encode())
        return asks_for_changes(event, make_app("file:///x", **(app or {})), policy)

    rules = Policy(paths=("src/**",))
    assert asks(rules)
    assert asks(Policy(), {"root_directory": "web"})
    assert not asks(Policy())
    assert not asks(rules, ref="refs/heads/feature")
    assert not asks(rules, message="[skip ci]")
    assert not asks(rules, after=payloads.ZEROS)
    assert not asks(rules, {"enabled": False})


@steady
@given(
    payload=json_objects | st.just(payloads.push(after=SHA, before=OTHER)),
    name=st.sampled_from(["push", "ping", "issue_comment"]),
    changes=st.dictionaries(st.sampled_from(["ref", "before", "after", "head_commit"]), json_values),
    branches=st.lists(st.sampled_from(["main", "develop", "x"])),
)
def test_any_json_object_is_decided_about(
    payload: dict[str, Any], name: str, changes: dict[str, Any], branches: list[str]
):
    event = parse(name, json.dumps({**payload, **changes}).encode())
    policy = Policy({f"e{number}": branch for number, branch in enumerate(branches)}, ("src/**",))
    decision = decide(event, make_app("file:///x"), Facts(policy, ["docs/x"]))
    assert decision.sentence.endswith(".")
    assert decision.code in Reason
