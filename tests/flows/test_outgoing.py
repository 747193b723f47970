import json
from collections.abc import Generator
from pathlib import Path

import pytest

from tests.calling import Caller
from tests.fakes.ear import listening
from tests.fakes.repository import Repository
from tests.running import Slipway
from tests.waiting import wait_until

pytestmark = pytest.mark.slow


@pytest.fixture
def slipway(tmp_path: Path) -> Generator[Slipway]:
    slipway = Slipway(tmp_path / "home", {"SLIPWAY_OUTGOING_NETWORKS": "127.0.0.0/8"}).up()
    yield slipway
    slipway.down()


def test_a_push_is_told_to_a_webhook_and_a_channel_and_the_audit_log_is_whole(
    slipway: Slipway, tmp_path: Path
):
    repository = Repository(tmp_path / "shop.git")
    head = repository.commit({"index.html": "<h1>one</h1>"}, "First")
    slipway.create_app(repository, "shop")
    made = json.loads(slipway.run("token", "create", "--email", "mona@example.org", "--json"))
    caller = Caller(f"http://{slipway.settings.web_address}", made["token"])
    with listening() as ear:
        hook = caller.post("/webhooks", {"name": "board", "url": f"{ear.url}/", "app": "shop"})["id"]
        place = ear.url.partition("://")[2]
        events = ["deployment.succeeded"]
        caller.post("/channels", {"name": "chat", "url": f"json://{place}/chat", "events": events})
        caller.post(f"/webhooks/{hook}/test")
        wait_until(lambda: ear.events() == ["test"], what="the test arrives")
        slipway.push("shop", head)
        wait_until(lambda: "release.activated" in ear.events(), 30, "the deployment is told")
        wait_until(lambda: [one for one in ear.heard if one.path == "/chat"], 30, "the notice arrives")
    told = "test deployment.queued deployment.running deployment.succeeded release.activated".split()
    assert ear.events() == told
    sent = caller.get(f"/webhooks/{hook}/deliveries")
    assert {one["status"] for one in sent} == {"delivered"}
    assert [one["action"] for one in caller.get("/audit")][::-1] == [
        "app.created",
        "token.created",
        "createWebhook",
        "createChannel",
        "testWebhook",
    ]
    caller.http.close()
    assert "is whole: 5 rows" in slipway.run("audit", "verify")
    with slipway.engine.begin() as tx:
        tx.exec_driver_sql("UPDATE audit SET actor = 'nobody' WHERE action = 'createWebhook'")
    assert "Row 3 is wrong" in slipway.run("audit", "verify", code=1)
    assert json.loads(slipway.run("audit", "export").splitlines()[0])["action"] == "app.created"
    assert "createChannel" in slipway.run("audit", "list")
