"""What is gathered for one app before a delivery is decided about, and how its rules are found."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import msgspec

from bot import render
from bot.domain.app import App
from bot.domain.deployment import Commit
from bot.errors import UserError
from bot.intake.paths import Scope
from bot.intake.recipe import policy_part
from bot.intake.recipe_file import Policy
from bot.store import environments
from bot.store.engine import Engine, reading
from jobs.knowledge import Knowledge


class PolicyUnknownError(Exception):
    """What is deployed can't be told: the repository was never read, and can't be now."""


@dataclass
class Case:
    """One app that an event is about, with the facts gathered for it."""

    app: App
    policy: Policy = field(default_factory=Policy)
    changed: Sequence[str] | None = None
    scope: Scope | None = None
    notes: list[str] = field(default_factory=list[str])
    policy_read: Policy | None = None
    newer: Commit | None = None
    mapped: Mapping[str, str] = field(default_factory=dict[str, str])
    """The branches that were named by hand, by environment: they win over slipway.toml."""

    def read_policy(self, known: Knowledge, default_branch: str, kept: Policy | None) -> None:
        """Take the policy part of slipway.toml at the default branch's head."""
        branch = default_branch or self.app.production_branch
        file = known.recipe_file(self.app, branch)
        try:
            read = policy_part(file.content, self.app.slug, file=file.path) if file else Policy()
        except UserError as error:
            mistake = render.sentence(error.code, error.facts)
            self.notes.append(f"The last known rules count, because of a mistake on {branch}: {mistake}")
            self._take(kept or Policy())
            return
        self._take(read)
        self.policy_read = read if read != kept else None

    def take_kept(self, kept: Policy | None, problem: str) -> None:
        """Take the policy that was read last, because the repository can't be read now."""
        self.notes.append(f"The repository could not be read, so its last known rules count: {problem}.")
        self._take(kept or Policy())

    def _take(self, policy: Policy) -> None:
        own = {**policy.environments, **self.mapped}
        self.policy = msgspec.structs.replace(policy, environments=own) if self.mapped else policy


def case_of(engine: Engine, app: App) -> Case:
    """A case about an app, with what its people set by hand."""
    with reading(engine) as tx:
        return Case(app, mapped=environments.mapped(tx, app.id))
