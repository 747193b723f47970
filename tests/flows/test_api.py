import json

import pytest

from bot.domain.deployment import State
from bot.domain.ids import DeploymentId
from tests.calling import Caller
from tests.flows.conftest import MakeRepository
from tests.running import Slipway

pytestmark = pytest.mark.slow


def test_the_head_of_a_branch_goes_live_by_request_and_back_again(
    slipway: Slipway, make_repository: MakeRepository
):
    repository = make_repository("asked")
    repository.commit({"index.html": "<h1>one</h1>"}, "First")
    app = slipway.create_app(repository, "asked")
    made = json.loads(slipway.run("token", "create", "--email", "mona@example.org", "--json"))
    caller = Caller(f"http://{slipway.settings.web_address}", made["token"])

    first = caller.post("/apps/asked/deployments", {"note": "the first"})
    assert slipway.ended(DeploymentId(first["id"])).state is State.SUCCEEDED
    assert "one" in slipway.get(slipway.hostname(app)).text

    head = repository.commit({"index.html": "<h1>two</h1>"}, "Second")
    second = caller.post("/apps/asked/deployments", {"branch": "main"})
    assert slipway.ended(DeploymentId(second["id"])).state is State.SUCCEEDED
    read = caller.get(f"/deployments/{second['reference']}")
    assert read["commit"] == {"sha": head, "message": "Second", "author": "Test"}
    assert "two" in slipway.get(slipway.hostname(app)).text
    stream = caller.http.get(f"/api/v1/deployments/{second['reference']}/stream").text
    assert f"main is at {head}" in stream
    assert '"type":"done"' in stream

    back = caller.post("/apps/asked/environments/production/rollback", {})
    assert slipway.ended(DeploymentId(back["id"])).state is State.SUCCEEDED
    assert "one" in slipway.get(slipway.hostname(app)).text
    assert caller.post("/apps/asked/environments/production/resume", status=200)["pinned"] is False
    onwards = caller.post(f"/apps/asked/releases/{head[:7]}/activate", {})
    assert slipway.ended(DeploymentId(onwards["id"])).state is State.SUCCEEDED
    assert "two" in slipway.get(slipway.hostname(app)).text
    lost = caller.post("/apps/asked/deployments", {"branch": "nowhere"})
    assert slipway.ended(DeploymentId(lost["id"])).state is State.FAILED
    assert caller.get(f"/deployments/{lost['id']}/failure")["code"] == "branch-gone"
    caller.http.close()
