"""What a deployment must wait for before it is worked on: approval, then checks, then a lock or a pin."""

from bot.domain.checks import waiting_for
from bot.domain.deployment import Deployment, Hold
from bot.domain.environment import Environment
from bot.domain.ids import AppId
from bot.intake.recipe import policy_from_json
from bot.intake.recipe_file import Checks
from bot.store import apps
from bot.store.engine import Tx


def checks_for(tx: Tx, app: AppId, environment: str) -> Checks | None:
    """The checks that deployments to an environment wait for, by the policy that was read last."""
    policy = policy_from_json(apps.policy(tx, app))
    return policy.checks_for(environment) if policy else None


def all_checks(tx: Tx, app: AppId) -> list[str] | None:
    """The names of all checks that some environment of an app waits for; None when its rules are unknown."""
    policy = policy_from_json(apps.policy(tx, app))
    return [name for one in policy.checks.values() for name in one.require] if policy else None


def after(tx: Tx, deployment: Deployment, environment: Environment) -> tuple[Hold, str] | None:
    """What a held deployment waits for next, and its words, once it has what it waits for now.

    Checks and pins hold up what no person asked for, locks whatever there is.
    """
    if deployment.trigger.is_automatic and deployment.hold is Hold.APPROVAL:
        checks = checks_for(tx, deployment.app_id, environment.name)
        if checks is not None:
            return Hold.CHECKS, waiting_for(checks.require)
    return environment.waits_for(automatic=deployment.trigger.is_automatic)
