import uuid
from concurrent.futures import ThreadPoolExecutor

import pytest

from bot.domain.deployment import Deployment, State
from tests.fakes import payloads
from tests.flows.conftest import MakeRepository
from tests.running import Slipway
from tests.waiting import wait_until


@pytest.mark.slow
def test_200_deliveries_of_one_guid_are_one_deployment(slipway: Slipway, make_repository: MakeRepository):
    repository = make_repository("echo")
    sha = repository.commit({"index.html": "echo"}, "Echo")
    app = slipway.create_app(repository, "echo")
    payload = payloads.push(
        repository="acme/echo", repository_id=1234, ref="refs/heads/main", before="0" * 40, after=sha
    )
    guid = str(uuid.uuid4())
    with ThreadPoolExecutor(20) as pool:
        answers = list(pool.map(slipway.deliver, ["push"] * 200, [payload] * 200, [guid] * 200))
    assert {answer.status_code for answer in answers} == {202}
    assert sum(not answer.json().get("duplicate", False) for answer in answers) == 1
    assert slipway.ended(slipway.deployment_of(guid).id).state is State.SUCCEEDED
    assert len(slipway.deployments(app)) == 1


@pytest.mark.slow
def test_500_pushes_make_a_handful_of_builds_and_the_last_commit_is_live(
    slipway: Slipway, make_repository: MakeRepository
):
    repository = make_repository("storm")
    shas = repository.commit_many(500, "index.html", "commit {}")
    app = slipway.create_app(repository, "storm")
    with ThreadPoolExecutor(8) as pool:
        guids = list(pool.map(slipway.push, ["storm"] * 500, shas))

    def settled() -> list[Deployment]:
        made = slipway.deployments(app)
        decided = {one.delivery_id for one in made}
        done = all(one.state.is_final for one in made)
        return made if done and len(decided) > 0 and slipway.undecided() == 0 else []

    made = wait_until(settled, 90, "the storm to settle")
    assert len(guids) == 500
    assert slipway.get(slipway.hostname(app)).text == "commit 499"
    built = [one for one in made if one.state is State.SUCCEEDED]
    assert built[0].sha == shas[-1]
    assert len(built) <= 6
    others = [one for one in made if one.state is not State.SUCCEEDED]
    assert {one.state for one in others} <= {State.SUPERSEDED}
    assert all(one.superseded_by is not None for one in others)
