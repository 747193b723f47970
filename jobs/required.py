"""Sees, before anything is built, that the variables are set which the build needs."""

from bot.domain.environment import Environment, EnvironmentKind
from bot.errors import ErrorCode, UserError
from bot.store import environments
from bot.store.engine import Engine, reading, writing
from jobs.effective import SETTINGS
from jobs.steps.context import Context, Plan

_OPTIONS = {
    EnvironmentKind.PRODUCTION: "",
    EnvironmentKind.BRANCH: " --for branch",
    EnvironmentKind.PREVIEW: " --for preview",
}


def see(engine: Engine, context: Context, plan: Plan) -> None:
    """Remember what the commit asks for, for whoever asks whether a deployment would work.

    What is kept from a stranger's code counts as set. Raises `UserError` VARIABLES_MISSING.
    """
    environment, given = context.environment, context.variables
    if plan.required_by != SETTINGS:
        _keep(engine, environment, plan.required)
    known = {*given.values, *given.withheld}
    missing = sorted({name for name in plan.required if name not in known})
    if missing:
        raise UserError(
            ErrorCode.VARIABLES_MISSING,
            names=", ".join(missing),
            first=missing[0],
            app=context.app.slug,
            environment=environment.name,
            option=_OPTIONS[environment.kind],
            said_by=plan.required_by,
        )


def _keep(engine: Engine, environment: Environment, names: tuple[str, ...]) -> None:
    with reading(engine) as tx:
        known = environments.required_variables(tx, environment.id)
    if known != list(names):
        with writing(engine) as tx:
            environments.configure(tx, environment.id, {"required_variables": list(names)})
