"""Who is next: the order in which waiting deployments are taken, and when about. Pure.

The same rule as the claim's in the store: of the environments that nobody works on, the one whose tenant
was served longest ago and is below its limit, then the oldest deployment.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from bot.domain.ids import AppId, DeploymentId, EnvironmentId, TenantId


@dataclass(frozen=True)
class Waiting:
    """A queued deployment. It is not taken before some seconds have passed."""

    deployment: DeploymentId
    environment: EnvironmentId
    app: AppId
    tenant: TenantId
    not_before: float = 0.0


@dataclass(frozen=True)
class Busy:
    """An environment that somebody works on, and for how many seconds yet."""

    environment: EnvironmentId
    tenant: TenantId
    left: float


@dataclass(frozen=True)
class Place:
    """A place in the line, from 1, and in how many seconds work begins about."""

    position: int
    seconds: float


@dataclass(frozen=True)
class House:
    """How many are built at once; each tenant's limit, where it has one; and who was served last."""

    slots: int
    limits: Mapping[TenantId, int]
    served: Sequence[TenantId]
    """Tenants, the one served longest ago first; those that never were are not among them."""


def line_up(
    waiting: Sequence[Waiting], busy: Sequence[Busy], house: House, seconds: Mapping[AppId, float]
) -> dict[DeploymentId, Place]:
    """Play the queue through. `seconds` is how long a deployment of an app takes, by history."""
    served = {tenant: order for order, tenant in enumerate(house.served)}
    left, running, now = list(waiting), list(busy), 0.0
    found: dict[DeploymentId, Place] = {}
    while left:
        ready = [one for one in left if _may(one, running, house, now)]
        if not ready:
            later = [one.left for one in running] + [one.not_before for one in left]
            # Nothing ever changes where a limit lets nothing run at all.
            now = min((moment for moment in later if moment > now), default=now + 1.0)
            running = [one for one in running if one.left > now]
            continue
        chosen = min(ready, key=lambda one: (served.get(one.tenant, -1), one.deployment))
        found[chosen.deployment] = Place(len(found) + 1, now)
        served[chosen.tenant] = len(house.served) + len(found)
        left.remove(chosen)
        running.append(Busy(chosen.environment, chosen.tenant, now + seconds[chosen.app]))
    return found


def _may(one: Waiting, running: Sequence[Busy], house: House, now: float) -> bool:
    if len(running) >= house.slots or one.not_before > now:
        return False
    of_tenant = Counter(other.tenant for other in running)[one.tenant]
    is_free = all(other.environment != one.environment for other in running)
    return is_free and of_tenant < max(1, house.limits.get(one.tenant, house.slots))
