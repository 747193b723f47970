import pytest

from bot.domain.deployment import Blame, Kind, State
from bot.github.states import DeploymentState, StatusState, deployment_state, status_state
from bot.render import TEMPLATES, text

BLAMES = (None, *Blame)


@pytest.mark.parametrize("state", State)
@pytest.mark.parametrize("blame", BLAMES)
def test_only_what_is_not_over_is_pending(state: State, blame: Blame | None):
    assert (status_state(state, blame) is StatusState.PENDING) is not state.is_final
    for live in (True, False):
        under_way = deployment_state(state, blame, live=live) in (
            DeploymentState.QUEUED,
            DeploymentState.IN_PROGRESS,
        )
        assert under_way is not state.is_final


@pytest.mark.parametrize("state", State)
def test_green_is_only_what_is_live_or_left_out_on_purpose(state: State):
    green = {one for one in BLAMES if status_state(state, one) is StatusState.SUCCESS}
    assert bool(green) is (state in (State.SUCCEEDED, State.SKIPPED))


def test_fault_decides_between_failure_and_error():
    assert status_state(State.FAILED, Blame.USER) is StatusState.FAILURE
    assert status_state(State.FAILED, Blame.PLATFORM) is StatusState.ERROR
    assert deployment_state(State.FAILED, Blame.USER, live=True) is DeploymentState.FAILURE
    assert deployment_state(State.FAILED, Blame.PLATFORM, live=True) is DeploymentState.ERROR


@pytest.mark.parametrize("state", State)
@pytest.mark.parametrize("kind", Kind)
def test_every_state_has_its_words(state: State, kind: Kind):
    facts = {
        "kind": kind.value,
        "environment": "production",
        "attempt": 1,
        "hold": None,
        "sha": "a1b2c3d",
        "reason": "because",
        "release": None,
        "superseded_by": "DEP-2",
        "sentence": "It failed.",
    }
    said = text(f"status/{state}.j2", facts)
    assert said
    assert "\n" not in said
    assert {one.stem for one in (TEMPLATES / "status").iterdir()} == set(State)
