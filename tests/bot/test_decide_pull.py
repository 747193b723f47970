import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.domain.deployment import Commit
from bot.domain.ids import Sha
from bot.domain.pull import UNDATED, PullRequest, newer
from bot.intake.decide_pull import PullFacts, decide_pull
from bot.intake.decision import Decision, Deploy, Hold, Ignore, Skip, Target, TearDown
from bot.intake.events import Unusable, Unused, parse
from bot.intake.paths import Scope
from bot.intake.pull_events import ACTIONS, PullAction, PullEvent
from bot.intake.recipe_file import Policy, Previews
from tests.bot.test_events import json_objects, json_values
from tests.fakes import payloads
from tests.fakes.contexts import make_app
from tests.steady import steady

SHA = "a" * 40


def event_of(**values: Any) -> PullEvent:
    given_values: dict[str, Any] = {"sha": SHA, **values}
    event = parse("pull_request", json.dumps(payloads.pull_request(**given_values)).encode())
    assert isinstance(event, PullEvent), event
    return event


def pull_of(**values: Any) -> PullRequest:
    return event_of(**values).pull


def decided(
    policy: Policy | Previews | None = None,
    *,
    there: bool = False,
    message: str = "",
    changed: list[str] | None = None,
    app: dict[str, Any] | None = None,
    scope: Scope | None = None,
    **event: Any,
) -> Decision:
    rules = Policy(previews=policy) if isinstance(policy, Previews) else policy or Policy()
    told = event_of(**event)
    facts = PullFacts(rules, told.pull, message, changed, there, scope)
    return decide_pull(told, make_app("file:///x", **(app or {})), facts)


def test_an_open_pull_request_gets_a_preview():
    decision = decided(number=12, message="Fix it", login="mona")
    assert isinstance(decision, Deploy)
    assert decision.environments == (Target("preview/pr-12", "feature", decision.environments[0].pull),)
    assert (decision.environments[0].pull, decision.commit) == (12, Commit(Sha(SHA), "Fix it", "mona"))
    assert decision.sentence == "#12 was opened."


KEPT_BACK: list[tuple[dict[str, Any], type, str]] = [
    ({"policy": Previews(drafts="wait"), "draft": True}, Skip, "draft"),
    ({"policy": Previews(drafts="deploy"), "draft": True}, Deploy, "pull-request"),
    ({"policy": Previews(only_label="go")}, Skip, "label-missing"),
    ({"policy": Previews(only_label="go"), "labels": ("go",)}, Deploy, "pull-request"),
    ({"policy": Previews(only_label="go"), "there": True}, TearDown, "label-missing"),
    ({"policy": Previews(skip_label="no"), "labels": ("no",)}, Skip, "label-skips"),
    ({"policy": Previews(skip_label="no"), "labels": ("no",), "there": True}, TearDown, "label-skips"),
    ({"policy": Previews(bots="skip"), "kind": "Bot"}, Skip, "bot"),
    ({"policy": Previews(bots="wait"), "kind": "Bot"}, Hold, "bot"),
    ({"policy": Previews(bots="deploy"), "kind": "Bot"}, Deploy, "pull-request"),
    ({"policy": Previews(enabled=False)}, Ignore, "previews-off"),
    ({"policy": Previews(enabled=False), "there": True}, TearDown, "previews-off"),
    ({"policy": Previews(base_branches=("main", "release/*")), "base": "release/2"}, Deploy, "pull-request"),
    ({"policy": Previews(base_branches=("main",)), "base": "feature-1"}, Skip, "base-unused"),
    ({"policy": Previews(base_branches=("main",)), "base": "x", "there": True}, TearDown, "base-unused"),
    ({"message": "Words\n\n[skip ci]"}, Skip, "skip-marker"),
    ({"title": "Words [CI SKIP]"}, Skip, "skip-marker"),
    ({"policy": Policy(paths=("src/**",)), "changed": ["docs/a.md"]}, Skip, "paths-untouched"),
    ({"policy": Policy(paths=("src/**",)), "changed": ["src/a.js"]}, Deploy, "pull-request"),
    ({"scope": Scope("web"), "changed": ["docs/a.md"]}, Skip, "paths-untouched"),
    ({"scope": Scope("web"), "changed": ["web/a.js"]}, Deploy, "pull-request"),
    ({"policy": Policy(paths=("src/**",)), "changed": None}, Deploy, "pull-request"),
    ({"head_repository": "stranger/shop"}, Hold, "fork"),
    ({"head_repository": None}, Hold, "fork"),
    ({"head_repository": "stranger/shop", "policy": Previews(forks="off")}, Skip, "fork"),
    ({"head_repository": "stranger/shop", "policy": Previews(forks="sandboxed")}, Deploy, "fork"),
    ({"head_repository": None, "policy": Previews(forks="sandboxed")}, Deploy, "fork"),
    ({"head_repository": "stranger/shop", "message": "[skip ci]"}, Skip, "skip-marker"),
    ({"action": "closed"}, Ignore, "pull-closed"),
    ({"action": "closed", "there": True}, TearDown, "pull-closed"),
    ({"action": "closed", "there": True, "app": {"enabled": False}}, TearDown, "pull-closed"),
    ({"app": {"enabled": False}}, Ignore, "app-disabled"),
    ({"action": "labeled", "label": "bug", "labels": ("bug",)}, Ignore, "label-unused"),
    ({"action": "unlabeled", "label": "bug"}, Ignore, "label-unused"),
    ({"action": "edited", "changes": {"body": {"from": "x"}}}, Ignore, "edit-unused"),
    ({"action": "edited", "changes": {"title": {"from": "Other words"}}}, Ignore, "edit-unused"),
    ({"action": "edited", "changes": {"title": {"from": "[skip ci]"}}}, Deploy, "pull-request"),
    ({"action": "edited", "changes": {"base": {"ref": {"from": "x"}}}}, Deploy, "pull-request"),
]


@pytest.mark.parametrize(("given_", "kind", "code"), KEPT_BACK)
def test_each_rule_has_its_reason(given_: dict[str, Any], kind: type, code: str):
    decision = decided(**given_)
    assert (type(decision), decision.code.value) == (kind, code)


@pytest.mark.parametrize("action", sorted(ACTIONS))
def test_nothing_that_a_stranger_wrote_stands_in_a_sentence(action: str):
    words = "@everyone [x](https://evil.test) <b>"
    for policy in (Previews(), Previews(drafts="wait"), Previews(base_branches=("y",))):
        decision = decided(policy, action=action, title=words, branch="evil-branch", draft=True, label="x")
        assert not any(word in decision.sentence for word in ("everyone", "evil", "<b>"))


def test_actions_that_mean_nothing_here_are_said_to_be_unused():
    for action in ("assigned", "review_requested", "locked", ""):
        found = parse("pull_request", json.dumps({"action": action}).encode())
        assert isinstance(found, Unused)
    assert isinstance(parse("pull_request", b'{"action": "opened"}'), Unusable)


@steady
@given(json_objects, st.sampled_from(sorted(ACTIONS)))
def test_no_payload_breaks_the_reader(payload: dict[str, Any], action: str):
    parse("pull_request", json.dumps({**payload, "action": action}).encode())


@steady
@given(
    st.sampled_from(["head", "base", "user", "labels", "title", "draft", "updated_at", "number", "state"]),
    json_values,
)
def test_no_field_of_another_type_breaks_the_reader_or_the_rules(name: str, value: Any):
    payload = payloads.pull_request(sha=SHA)
    payload["pull_request"][name] = value
    event = parse("pull_request", json.dumps(payload).encode())
    if isinstance(event, PullEvent):
        decide_pull(
            event, make_app("file:///x"), PullFacts(Policy(), event.pull, "", None, has_preview=False)
        )


def at(second: int, action: str = "synchronize", sha: str = SHA) -> PullRequest:
    return pull_of(action=action, sha=sha, updated_at=f"2026-01-01T12:00:{second:02}Z")


def test_the_newer_tale_counts_and_closed_beats_open_in_one_second():
    early, late = at(1), at(2, sha="c" * 40)
    assert newer(None, early) == newer(early, early) == early
    assert newer(early, late) == newer(late, early) == late
    closed, opened, reopened = at(3, "closed"), at(3), at(3, "reopened")
    assert newer(closed, opened) == newer(opened, closed) == closed
    assert newer(closed, reopened) == newer(reopened, closed) == reopened
    assert newer(late, pull_of(updated_at="yesterday")) == late
    assert pull_of(updated_at="yesterday").updated_at == UNDATED


def test_an_action_that_is_known_is_one_of_githubs():
    assert {action.value for action in PullAction} == ACTIONS
