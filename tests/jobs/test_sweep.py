import socket
import subprocess
import sys
import threading
from collections.abc import Generator
from pathlib import Path

import pytest
from sqlalchemy.pool import QueuePool

from bot.domain.app import App
from bot.domain.deployment import Deployment, State
from bot.domain.ids import DeploymentId, ReleaseId
from bot.settings import Settings
from bot.store import apps, deployments
from bot.store.engine import reading, writing
from jobs.site_entry import Entry
from jobs.sites import Sites
from jobs.sweep import Sweep
from jobs.worker import Launcher
from jobs.workshop import Workshop, furnish
from tests.instance import Instance
from tests.waiting import wait_until


@pytest.fixture
def instance(tmp_path: Path) -> Generator[Instance]:
    made = Instance(tmp_path)
    yield made
    made.close()


@pytest.fixture
def workshop(instance: Instance) -> Generator[Workshop]:
    own = {"sandbox": "none", "sweep_seconds": 0.05, "outgoing_networks": "127.0.0.1"}
    values = {**instance.settings.model_dump(), **own}
    made = furnish(Settings.model_validate(values))
    yield made
    made.engine.dispose()


def deployment(instance: Instance, number: DeploymentId) -> Deployment:
    with reading(instance.engine) as tx:
        return deployments.get(tx, number)


def dead_holder() -> str:
    command = [sys.executable, "-c", "from bot.holder import this_process; print(this_process())"]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()


def go_live(instance: Instance, app: App, sha: str) -> ReleaseId:
    instance.push(app, sha)
    claim = instance.claim()
    instance.succeed(claim)
    release = deployment(instance, claim.deployment.id).release_id
    assert release is not None
    return release


def test_lost_work_is_found_while_a_git_server_hangs(instance: Instance, workshop: Workshop):
    app = instance.app("shop")
    with socket.create_server(("127.0.0.1", 0)) as silent:
        silent.settimeout(10)
        url = f"http://127.0.0.1:{silent.getsockname()[1]}/shop.git"
        with writing(instance.engine) as tx:
            tx.exec_driver_sql("UPDATE apps SET clone_url = ?", (url,))
            apps.pin_repository(tx, app.id, 1, None)
        pushed = instance.push(app, "a" * 40)
        sweep = Sweep(workshop)
        thread = threading.Thread(target=sweep.run)
        thread.start()
        try:
            # The recovery asks for the branch's head, and gets no answer.
            hanging = silent.accept()[0]
            assert instance.leases.claim(dead_holder()) is not None
            wait_until(lambda: deployment(instance, pushed.id).attempt == 2, what="the lost work")
            hanging.close()
        finally:
            sweep.end()
            thread.join()
    assert deployment(instance, pushed.id).state is State.QUEUED


def test_a_site_whose_artifacts_are_gone_does_not_keep_others_from_being_repaired(
    instance: Instance, workshop: Workshop
):
    go_live(instance, instance.app("broken"), "a" * 40)
    whole = go_live(instance, instance.app("whole"), "b" * 40)
    (workshop.settings.edge_home / "releases" / str(whole) / "files").mkdir(parents=True)
    workshop.housekeeping.agree_with_edge()
    sites = Sites(workshop.settings.edge_home)
    assert sites.active("whole.localhost") == Entry(1, whole, spa=False, rules=False)
    assert sites.active("broken.localhost") is None


def test_the_worker_forks_without_a_connection_to_the_store(instance: Instance, workshop: Workshop):
    launcher = Launcher(workshop)
    instance.push(instance.app("shop"), "a" * 40)
    assert instance.leases.claim(dead_holder()) is not None
    launcher.reap()
    pool = workshop.engine.pool
    assert isinstance(pool, QueuePool)
    assert pool.checkedin() + pool.checkedout() == 0
