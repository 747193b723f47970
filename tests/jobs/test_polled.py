from datetime import UTC, datetime, timedelta
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from jobs.polled import Polled, comment_events, is_new_comment, pull_events

BRANCHES = ("main", "next")


def pull(number: int, at: int, **fields: Any) -> dict[str, Any]:
    return {
        "number": number,
        "state": fields.get("state", "open"),
        "head": {"ref": "topic", "sha": fields.get("head", "a" * 40)},
        "base": {"ref": fields.get("base", "main"), "sha": "0" * 40, "repo": {"id": 1}},
        "title": fields.get("title", "A change"),
        "draft": fields.get("draft", False),
        "labels": [{"name": name} for name in fields.get("labels", [])],
        "created_at": f"{fields.get('created', at):04}",
        "updated_at": f"{at:04}",
    }


versions = st.fixed_dictionaries(
    {
        "head": st.sampled_from(["a" * 40, "b" * 40, "c" * 40]),
        "base": st.sampled_from(BRANCHES),
        "title": st.sampled_from(["One", "Two"]),
        "draft": st.booleans(),
        "labels": st.lists(st.sampled_from(["x", "y", "z"]), unique=True),
        "state": st.sampled_from(["open", "closed"]),
    }
)


def follow(state: dict[str, Any], event: dict[str, Any]) -> None:
    """What somebody knows of a pull request who hears its events one after the other."""
    match event["action"]:
        case "opened" | "reopened":
            found = event["pull_request"]
            state |= {
                "head": found["head"]["sha"],
                "base": found["base"]["ref"],
                "title": found["title"],
                "draft": found["draft"],
                "labels": sorted(one["name"] for one in found["labels"]),
                "state": "open",
            }
        case "synchronize":
            assert state["head"] == event["before"]
            state["head"] = event["after"]
        case "edited":
            for name, place in (("base", ("base", "ref")), ("title", ("title",))):
                if name in event["changes"]:
                    value = event["pull_request"]
                    for step in place:
                        value = value[step]
                    state[name] = value
        case "converted_to_draft" | "ready_for_review":
            state["draft"] = event["action"] == "converted_to_draft"
        case "labeled":
            state["labels"] = sorted([*state["labels"], event["label"]["name"]])
        case "unlabeled":
            state["labels"] = [one for one in state["labels"] if one != event["label"]["name"]]
        case _:
            assert event["action"] == "closed"
            state["state"] = "closed"


@given(st.lists(versions, min_size=1, max_size=8))
def test_who_hears_the_events_knows_what_github_shows(shown: list[dict[str, Any]]):
    known, heard = Polled(), {"state": "closed"}
    for at, version in enumerate(shown, 1):
        for event in pull_events(known, [pull(7, at, created=0, **version)]):
            follow(heard, event)
        if version["state"] == "open":
            assert heard == {**version, "labels": sorted(version["labels"])}
        else:
            assert heard["state"] == "closed"
        assert pull_events(known, [pull(7, at, created=0, **version)]) == []


def test_unreadable_ones_are_left_out():
    known = Polled()
    events = pull_events(known, [{"number": "x"}, {}, pull(3, 1)])
    assert [(one["number"], one["action"], one["repository"]) for one in events] == [(3, "opened", {"id": 1})]
    assert (known.updated, list(known.pulls)) == ("0001", ["3"])


BEGIN = datetime(2026, 1, 1, tzinfo=UTC)


def comment(number: int, seconds: int, place: str) -> dict[str, Any]:
    moment = BEGIN + timedelta(seconds=seconds)
    return {
        "id": number,
        "created_at": f"{moment:%Y-%m-%dT%H:%M:%SZ}",
        "html_url": f"https://github.com/acme/shop/{place}/7#issuecomment-{number}",
    }


steps = st.tuples(st.integers(0, 60), st.sampled_from(["pull", "issues"]), st.booleans(), st.booleans())


@given(st.lists(steps, max_size=12))
def test_each_comment_is_told_of_once_though_some_are_listed_late(
    written: list[tuple[int, str, bool, bool]],
):
    """Each comes so long after the last one, and may be listed a look later, and deleted afterwards."""
    known, at = Polled(), -100
    listed: list[dict[str, Any]] = []
    late: list[dict[str, Any]] = []
    told: list[int] = []
    expected: list[int] = []

    def look() -> None:
        newest = sorted(listed, key=lambda raw: raw["created_at"], reverse=True)
        new = [raw for raw in newest if is_new_comment(known, raw, BEGIN)]
        told.extend(event["comment"]["id"] for event in comment_events(known, new, BEGIN))

    for number, (pause, place, is_late, is_deleted) in enumerate(written, 1):
        at += pause
        one = comment(number, at, place)
        listed, late = [*listed, *late], []
        (late if is_late else listed).append(one)
        expected += [number] if place == "pull" and at >= 0 else []
        look()
        if is_deleted and not is_late:
            listed.remove(one)
    listed += late
    look()
    assert sorted(told) == expected


def test_unreadable_comments_are_left_out():
    known = Polled()
    found = [{"id": "x"}, {}, comment(3, 1, "pull"), {**comment(4, 1, "pull"), "created_at": None}]
    assert [event["issue"]["number"] for event in comment_events(known, found, BEGIN)] == [7]
    assert (known.comments, known.commented) == ([3], BEGIN + timedelta(seconds=1))
