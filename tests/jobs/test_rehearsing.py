from pathlib import Path

from bot.rehearsal import rehearse
from bot.settings import Settings
from bot.store import environments
from bot.store.engine import reading
from bot.vault import open_vault
from jobs.rehearsing import Steps
from tests.instance import Instance


def test_what_steps_ask_is_known_after_a_rehearsal(tmp_path: Path):
    instance = Instance(tmp_path)
    settings = Settings(home=tmp_path / "home")  # pyright: ignore[reportCallIssue]
    steps = Steps(settings, open_vault(settings))
    rehearse(instance.engine, steps)
    known = instance.engine.get_execution_options()["compiled_cache"]
    instance.app("shop")
    instance.push(instance.app_named("shop"), "a" * 40)
    claim = instance.claim()
    instance.succeed(claim)
    with reading(instance.engine) as tx:
        release = environments.get(tx, claim.environment.id).active_release_id
    assert release is not None
    before = set(known)
    steps(instance.engine, claim, release)
    assert set(known) == before
    steps.about_the_last(instance.engine)
    instance.close()
