import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.intake.comment_events import CommentEvent
from bot.intake.events import PushEvent, Unusable, Unused, is_branch, parse
from tests.fakes import payloads
from tests.steady import steady

SHA, OTHER = "a" * 40, "b" * 40

json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=12,
)
json_objects = st.dictionaries(
    st.sampled_from(["ref", "repository", "before", "after", "head_commit", "pusher", "installation"])
    | st.text(),
    json_values,
)


def body(payload: Any) -> bytes:
    return json.dumps(payload).encode()


def parsed(**changes: Any) -> PushEvent:
    values: dict[str, Any] = {"after": SHA, "before": OTHER, **changes}
    event = parse("push", body(payloads.push(**values)))
    assert isinstance(event, PushEvent)
    return event


def test_a_push_to_a_branch_is_read_whole():
    event = parsed(ref="refs/heads/feature/x", message="Fix\n\nmore", installation_id=99, forced=True)
    assert (event.branch, event.tag) == ("feature/x", None)
    assert (event.before, event.after, event.forced) == (OTHER, SHA, True)
    assert (event.created, event.deleted) == (False, False)
    assert event.head is not None
    assert (event.head.message, event.head.author) == ("Fix\n\nmore", "somebody")
    assert (event.repository.id, event.repository.full_name) == (4711, "acme/shop")
    assert (event.repository.default_branch, event.repository.private) == ("main", False)
    assert (event.installation_id, event.pusher) == (99, "somebody")


def test_zeros_mean_created_and_deleted():
    created, deleted = parsed(before=payloads.ZEROS), parsed(after=payloads.ZEROS)
    assert (created.created, created.before, created.deleted) == (True, None, False)
    assert (deleted.deleted, deleted.after, deleted.created) == (True, None, False)
    assert deleted.head is None


def test_a_tag_is_no_branch():
    event = parsed(ref="refs/tags/v1.0")
    assert (event.branch, event.tag) == (None, "v1.0")


@pytest.mark.parametrize("event", ["pull_request", "star", "", "push ", "🦊"])
def test_other_events_are_unused(event: str):
    assert parse(event, b"{}") == Unused(event)


@pytest.mark.parametrize(
    "changes",
    [
        {"ref": None},
        {"ref": 5},
        {"ref": "refs/heads/"},
        {"ref": "refs/heads/a\nb"},
        {"ref": "refs/heads/--upload-pack=x/../y"},
        {"repository": None},
        {"repository": {"id": 1}},
        {"repository": {"id": 2**70, "full_name": "a/b"}},
        {"repository": {"id": "1", "full_name": "a/b"}},
        {"before": None, "after": None},
        {"before": payloads.ZEROS, "after": "not a commit"},
    ],
)
def test_what_a_push_must_have_is_asked_for(changes: dict[str, Any]):
    payload = {**payloads.push(after=SHA, before=OTHER), **changes}
    event = parse("push", body(payload))
    assert isinstance(event, Unusable)
    assert event.reason


@pytest.mark.parametrize(
    "raw",
    [b"", b"[]", b"null", b"{", b'{"ref": "\xff"}', b'{"ref":"a","pusher":' + b"[" * 200_000],
    ids=["empty", "list", "null", "cut", "not UTF-8", "deep"],
)
def test_what_is_no_object_is_unusable(raw: bytes):
    assert isinstance(parse("push", raw), Unusable)


@steady
@given(
    field=st.sampled_from(["head_commit", "pusher", "sender", "installation", "forced", "commits", "x"]),
    value=json_values,
)
def test_wrong_types_in_what_is_not_essential_do_not_hurt(field: str, value: Any):
    payload = {**payloads.push(after=SHA, before=OTHER), field: value}
    event = parse("push", body(payload))
    # Numbers beyond 64 bits are the one thing that the parser itself refuses.
    assert isinstance(event, PushEvent) or "out of range" in getattr(event, "reason", "")


@steady
@given(payload=json_objects, name=st.sampled_from(["push", "ping", "pull_request"]))
def test_any_json_object_is_answered(payload: dict[str, Any], name: str):
    assert isinstance(parse(name, body(payload)), PushEvent | Unused | Unusable)


@steady
@given(path=st.lists(st.integers(0, 40), min_size=1, max_size=3), value=json_values)
def test_a_mutated_push_is_answered(path: list[int], value: Any):
    payload: Any = payloads.push(after=SHA, before=OTHER, installation_id=5)
    at: Any = payload
    for index in path:
        key = sorted(at)[index % len(at)]
        if not isinstance(at[key], dict) or index == path[-1]:
            at[key] = value
            break
        at = at[key]
    assert isinstance(parse("push", body(payload)), PushEvent | Unusable)


@steady
@given(st.binary())
def test_any_bytes_are_answered(raw: bytes):
    assert isinstance(parse("push", raw), Unusable)


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("main", True),
        ("release/1.0", True),
        ("ünïcode", True),
        ("", False),
        ("-x", False),
        ("a..b", False),
        ("a b", False),
        ("a~1", False),
        ("x.lock", False),
        ("a//b", False),
        ("a/", False),
        ("@", False),
        ("a@{1}", False),
        ("x" * 256, False),
    ],
)
def test_names_of_branches_are_those_that_git_takes(name: str, expected: bool):
    assert is_branch(name) is expected


def commented(**changes: Any) -> CommentEvent:
    values: dict[str, Any] = {"body": "/help", "comment": 7, **changes}
    event = parse("issue_comment", body(payloads.issue_comment(**values)))
    assert isinstance(event, CommentEvent)
    return event


def test_a_comment_on_a_pull_request_is_read_with_its_commands():
    event = commented(body="Nice.\r\n/redeploy\r\n> /cancel", number=12, login="mona", login_id=5)
    assert (event.pull, event.comment, event.author, event.author_id) == (12, 7, "mona", 5)
    assert [one.word for one in event.commands] == ["redeploy"]
    assert event.is_person
    assert f"{event.written_at:%Y-%m-%d %H:%M}" == "2026-01-01 12:00"


@pytest.mark.parametrize(
    "changes",
    [{"kind": "Bot"}, {"by_app": True}, {"login": "renovate[bot]"}, {"login": "../.."}, {"login": ""}],
)
def test_bots_apps_and_what_is_no_name_are_no_people(changes: dict[str, Any]):
    assert not commented(**changes).is_person


@pytest.mark.parametrize("changes", [{"action": "edited"}, {"action": "deleted"}, {"on_pull": False}])
def test_other_comments_are_not_used(changes: dict[str, Any]):
    made = payloads.issue_comment(body="/help", comment=7, **changes)
    assert parse("issue_comment", body(made)) == Unused("issue_comment")


@given(
    st.sampled_from(["issue", "comment", "sender", "repository"]),
    json_values,
    st.sampled_from(["body", "user", "id", "created_at", "number"]),
)
def test_whatever_stands_in_a_comment_nothing_is_raised(name: str, value: Any, inner: str):
    made = payloads.issue_comment(body="/help", comment=7)
    parse("issue_comment", body({**made, name: value}))
    parse("issue_comment", body({**made, name: {**made[name], inner: value}}))
