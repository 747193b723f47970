from pathlib import Path

from bot.domain.deployment import Phase, State
from bot.rehearsal import rehearse
from bot.store import deployments, steps
from bot.store.engine import reading
from tests.instance import Instance


def statements(instance: Instance) -> set[object]:
    """What the store's engine has made SQL of."""
    return set(instance.engine.get_execution_options()["compiled_cache"])


def deploy(instance: Instance, slug: str) -> None:
    instance.push(instance.app_named(slug), "a" * 40)
    claim = instance.claim()
    for phase in Phase:
        instance.leases.enter(claim, phase)
    instance.succeed(claim)


def test_after_a_rehearsal_a_deployment_needs_no_statement_made(tmp_path: Path):
    instance = Instance(tmp_path)
    instance.app("shop")
    instance.app_named("shop")
    rehearse(instance.engine)
    before = statements(instance)
    deploy(instance, "shop")
    assert statements(instance) - before == set()
    instance.close()


def test_a_rehearsal_leaves_nothing_in_the_store(tmp_path: Path):
    instance = Instance(tmp_path)
    rehearse(instance.engine)
    with reading(instance.engine) as tx:
        assert deployments.latest(tx, 10) == []
    instance.close()


def test_a_step_has_succeeded_once_the_next_begins_or_the_deployment_has(tmp_path: Path):
    instance = Instance(tmp_path)
    instance.app("shop")
    instance.push(instance.app_named("shop"), "a" * 40)
    claim = instance.claim()
    instance.leases.enter(claim, Phase.CHECKOUT)
    instance.leases.enter(claim, Phase.PLAN)
    assert states(instance) == ["succeeded", "running"]
    instance.succeed(claim)
    assert states(instance) == ["succeeded", "succeeded"]
    instance.push(instance.app_named("shop"), "b" * 40)
    claim = instance.claim()
    instance.leases.enter(claim, Phase.CHECKOUT)
    assert instance.leases.finish(claim, State.CANCELLED, "cancelled")
    assert states(instance) == ["failed"]
    instance.close()


def states(instance: Instance) -> list[str]:
    with reading(instance.engine) as tx:
        newest = deployments.latest(tx, 1)[0]
        return [step.state for step in steps.of_deployment(tx, newest.id)]
