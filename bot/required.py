"""Variables that builds must be given, and which of them are not set."""

from collections.abc import Sequence
from dataclasses import dataclass

from bot.domain.app import App
from bot.domain.environment import PRODUCTION, Environment, EnvironmentKind
from bot.domain.variable import Use, effective
from bot.store import environments, variables
from bot.store.engine import Tx


@dataclass(frozen=True)
class Required:
    """Names of variables that builds for an environment need, and those of them that do not count there."""

    names: Sequence[str]
    missing: Sequence[str]


def of(tx: Tx, app: App, environment: Environment | None, kind: EnvironmentKind) -> Required:
    """What is known without asking git: the app's setting, else what was planned last said.

    An environment that is not made yet has its kind alone.
    """
    names = sorted(set(_names(tx, app, environment)))
    within = [environment.id] if environment is not None else []
    found = variables.of_app(tx, app, within) if names else []
    counting = effective(found, kind, Use.BUILD)
    return Required(names, [name for name in names if name not in counting])


def _names(tx: Tx, app: App, environment: Environment | None) -> Sequence[str]:
    if app.required_variables is not None:
        return app.required_variables
    own = environments.required_variables(tx, environment.id) if environment is not None else None
    if own is not None:
        return own
    production = environments.by_name(tx, app.id, PRODUCTION)
    return (environments.required_variables(tx, production.id) if production else None) or ()
