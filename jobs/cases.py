"""What is gathered for one app before a delivery is decided about, and how its rules are found."""

from collections.abc import Sequence
from dataclasses import dataclass, field

from bot import render
from bot.domain.app import App
from bot.domain.deployment import Commit
from bot.errors import UserError
from bot.intake.paths import Scope
from bot.intake.recipe import policy_part
from bot.intake.recipe_file import Policy
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

    def read_policy(self, known: Knowledge, default_branch: str, kept: Policy | None) -> None:
        """Take the policy part of slipway.toml at the default branch's head."""
        branch = default_branch or self.app.production_branch
        file = known.recipe_file(self.app, branch)
        try:
            self.policy = policy_part(file.content, self.app.slug, file=file.path) if file else Policy()
        except UserError as error:
            mistake = render.sentence(error.code, error.facts)
            self.notes.append(f"The last known rules count, because of a mistake on {branch}: {mistake}")
            self.policy = kept or Policy()
            return
        self.policy_read = self.policy if self.policy != kept else None

    def take_kept(self, kept: Policy | None, problem: str) -> None:
        """Take the policy that was read last, because the repository can't be read now."""
        self.notes.append(f"The repository could not be read, so its last known rules count: {problem}.")
        self.policy = kept or Policy()
