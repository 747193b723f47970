"""What reports of a CI mean to a deployment that waits for them."""

import json
import random
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.domain.checks import (
    Check,
    CheckKind,
    CheckState,
    listed,
    state_of_run,
    state_of_status,
    timed_out,
    verdict,
)
from bot.intake.check_events import CheckEvent
from bot.intake.events import Unusable, parse
from tests.fakes import payloads

RUN, STATUS = CheckKind.RUN, CheckKind.STATUS
PASSED, FAILED, PENDING = CheckState.PASSED, CheckState.FAILED, CheckState.PENDING
SHA = "a" * 40


def as_json(payload: dict[str, Any]) -> bytes:
    return json.dumps(payload).encode()


@pytest.mark.parametrize(
    ("status", "conclusion", "expected"),
    [
        ("completed", "success", PASSED),
        ("completed", "neutral", PASSED),
        ("completed", "skipped", PASSED),
        ("completed", "failure", FAILED),
        ("completed", "cancelled", FAILED),
        ("completed", "timed_out", FAILED),
        ("completed", "action_required", FAILED),
        ("completed", "something new", FAILED),
        ("completed", None, PENDING),
        ("in_progress", "success", PENDING),
        ("queued", None, PENDING),
    ],
)
def test_what_a_check_run_says(status: str, conclusion: str | None, expected: CheckState):
    assert state_of_run(status, conclusion) is expected


def test_what_a_status_says():
    told = [state_of_status(one) for one in ("success", "failure", "error", "pending", "new")]
    assert told == [PASSED, FAILED, FAILED, PENDING, PENDING]


@pytest.mark.parametrize(
    ("found", "failed", "missing"),
    [
        ([], (), ("test", "lint")),
        ([(RUN, "test", PASSED, 1)], (), ("lint",)),
        ([(RUN, "test", PASSED, 1), (STATUS, "LINT", PASSED, 2)], (), ()),
        ([(RUN, "test", FAILED, 1), (RUN, "lint", PASSED, 2)], ("test",), ()),
        ([(RUN, "test", FAILED, 1), (RUN, "test", PASSED, 2), (RUN, "lint", PASSED, 3)], (), ()),
        ([(RUN, "test", PASSED, 2), (RUN, "test", FAILED, 1), (RUN, "lint", PENDING, 3)], (), ("lint",)),
        # A run and a status of one name are two things, and both must pass.
        ([(RUN, "test", PASSED, 1), (STATUS, "test", PENDING, 2), (RUN, "lint", PASSED, 3)], (), ("test",)),
        ([(RUN, "test", PASSED, 1), (STATUS, "test", FAILED, 2), (RUN, "lint", PASSED, 3)], ("test",), ()),
        ([(RUN, "other", FAILED, 1)], (), ("test", "lint")),
    ],
)
def test_the_latest_of_each_name_and_kind_counts(
    found: list[tuple[CheckKind, str, CheckState, int]], failed: tuple[str, ...], missing: tuple[str, ...]
):
    said = verdict(("test", "lint"), [Check(*one) for one in found])
    assert (said.failed, said.missing) == (failed, missing)


def test_our_own_statuses_never_count():
    own = [Check(STATUS, "slipway/shop/production", PASSED, 1), Check(RUN, "Slipway/x", PASSED, 2)]
    assert verdict(("slipway/shop/production", "slipway/x"), own).missing == (
        "slipway/shop/production",
        "slipway/x",
    )


@given(
    st.lists(
        st.builds(
            Check,
            st.sampled_from(CheckKind),
            st.sampled_from("abc"),
            st.sampled_from(CheckState),
            st.integers(1, 9),
        ),
        unique_by=lambda one: (one.kind, one.name, one.number),
    ),
    st.randoms(),
)
def test_the_order_in_which_reports_come_means_nothing(found: list[Check], dice: random.Random):
    other = list(found)
    dice.shuffle(other)
    assert verdict("ab", found) == verdict("ab", other)


def test_names_in_sentences():
    assert listed(["test"]) == "'test'"
    assert listed(["a", "b"]) == "'a' and 'b'"
    assert listed(list("abcde")) == "'a', 'b', 'c' and 2 more"
    assert timed_out(["a"], timedelta(minutes=90)) == "timed out: 'a' did not pass within 1 h 30 min"
    assert timed_out(["a"], timedelta(hours=1), "no") == (
        "timed out: 'a' did not pass within 1 h (GitHub could not be asked: no)"
    )


def test_events_of_checks_are_read():
    run = parse("check_run", as_json(payloads.check_run(sha=SHA, conclusion="failure", number=7)))
    assert isinstance(run, CheckEvent)
    assert (run.sha, run.check, run.is_news) == (SHA, Check(RUN, "test", FAILED, 7), True)
    begun = parse("check_run", as_json(payloads.check_run(sha=SHA, action="created", conclusion=None)))
    assert isinstance(begun, CheckEvent)
    assert not begun.is_news
    suite = parse("check_suite", as_json(payloads.check_suite(sha=SHA)))
    assert isinstance(suite, CheckEvent)
    assert (suite.check, suite.is_news) == (None, True)
    status = parse("status", as_json(payloads.status(sha=SHA, state="error", number=3)))
    assert isinstance(status, CheckEvent)
    assert (status.check, status.is_news) == (Check(STATUS, "test", FAILED, 3), True)
    assert isinstance(parse("status", as_json({**payloads.status(sha=SHA), "sha": "x"})), Unusable)
    assert isinstance(parse("check_run", b'{"action": "completed"}'), Unusable)
