"""Carries out the commands of comments, by the same doors as the API."""

from dataclasses import dataclass, field
from typing import assert_never

from bot import approvals, by_hand, locks, previews, render
from bot.approvals import Approval
from bot.change import Change
from bot.domain.deployment import Deployment, State, Trigger
from bot.domain.environment import PRODUCTION, Environment, EnvironmentKind
from bot.domain.ids import DeploymentId, reference
from bot.domain.permission import Level
from bot.domain.pull import preview_name
from bot.domain.release import Release
from bot.domain.spoken import Said
from bot.errors import ErrorCode, UserError
from bot.intake import commands
from bot.intake.commands import Command
from bot.lifecycle import Lifecycle
from bot.orders import Order
from bot.speaking import Ground, RefusedError, Speaker, UnconcernedError, known
from bot.store import deliveries, deployments, environments, releases

_TOO_LITTLE = "Too little is known of this pull request now; write it again in a moment."


@dataclass
class Commanding:
    """The commands of one comment, for one app, in one transaction.

    `made`: deployments asked for or changed; `gone`: previews that made room.
    """

    lifecycle: Lifecycle
    change: Change
    ground: Ground
    speaker: Speaker
    made: list[DeploymentId] = field(default_factory=list[DeploymentId])
    gone: list[Environment] = field(default_factory=list[Environment])
    _names_app: bool = False
    _made_by: dict[Command, list[DeploymentId]] = field(default_factory=dict[Command, list[DeploymentId]])

    def carry_out(self, command: Command) -> Said:
        """Carry one out. What can't be done is said, not raised."""
        self._names_app = command.app is not None
        if command.app is not None and command.app != self.ground.app.slug:
            return Said(command.word, ok=False, text=f"There is no such app here, but: {self.ground.others}.")
        before = len(self.made)
        try:
            return self._done(command)
        except UnconcernedError:
            return Said(command.word, ok=True)
        except RefusedError as refused:
            return Said(command.word, ok=False, text=str(refused))
        except UserError as error:
            return Said(command.word, ok=False, text=render.sentence_or(error.code, error.facts, str(error)))
        finally:
            self._made_by[command] = self.made[before:]

    def of(self, command: Command) -> list[DeploymentId]:
        """The deployments that a command asked for or changed."""
        return self._made_by.get(command, [])

    def _done(self, command: Command) -> Said:
        match command.verb:
            case commands.Help():
                return Said(command.word, ok=True, helps=True)
            case commands.Unknown():
                return Said(command.word, ok=False, text="That is no command of Slipway's.", helps=True)
            case commands.Misused(problem=problem):
                return Said(command.word, ok=False, text=f"{problem}.")
            case commands.Lock() | commands.Unlock() | commands.Ttl() | commands.Explain() as verb:
                return Said(command.word, ok=True, text=self._arrange(verb))
            case _ as verb:
                return Said(command.word, ok=True, text=self._bring(verb))

    def _bring(self, verb: commands.Bringing) -> str:
        match verb:
            case commands.Deploy(environment=name):
                return self._deploy(name)
            case commands.Redeploy():
                return self._redeploy()
            case commands.Cancel():
                return self._cancel()
            case commands.Promote(environment=name):
                return self._promote(name or PRODUCTION)
            case commands.Rollback(release=word):
                return self._rollback(word)
            case commands.Approve():
                return self._approve(verb)
            case _:
                assert_never(verb)

    def _arrange(self, verb: commands.Arranging) -> str:
        match verb:
            case commands.Lock(reason=reason):
                locks.lock(self.change, self._preview(), self.speaker.locker, reason=reason)
                return ""
            case commands.Unlock():
                return self._unlock()
            case commands.Ttl(length=length):
                previews.extend(self.change, self._preview(), length)
                return ""
            case commands.Explain():
                return self._explain()
            case _:
                assert_never(verb)

    def _deploy(self, name: str | None) -> str:
        ground = self.ground
        if name is None and not self._is_meant:
            self._newest()
        preview = preview_name(ground.number)
        place = name or preview
        pull, head = known(ground.pull, _TOO_LITTLE), known(ground.head, _TOO_LITTLE)
        if not pull.is_open and place == preview:
            how = "merged" if pull.merged else "closed"
            raise UserError(ErrorCode.PULL_CLOSED, number=pull.number, how=how)
        if place == preview and not ground.policy.previews.enabled:
            raise RefusedError("Previews are switched off.")
        if place != preview:
            self._refuse_place(place)
            if pull.is_fork:
                raise RefusedError("A fork's commits go to previews alone; merge it to bring it further.")
            # Else the environment would follow the pull request's branch from now on.
            follows = ground.policy.environments.get(place)
            self.lifecycle.environment(self.change, ground.app, place, follows)
        order = Order(
            app=ground.app,
            environment=place,
            branch=pull.head_branch or None,
            commit=head,
            trigger=Trigger.MANUAL,
            reason=f"asked for by {self.speaker.login}",
            requested_by=self.speaker.login,
            pull=ground.number if place == preview else None,
        )
        made = self._keep(by_hand.deploy(self.lifecycle, self.change, order))
        if place == preview:
            limit = ground.policy.previews.limit
            self.gone += previews.make_room(self.change, ground.app, limit, made.environment_id)
            return ""
        return f"{reference(made.id)} brings {head.sha[:7]} to {place}."

    def _redeploy(self) -> str:
        newest = self._newest()
        by = self.speaker.login
        self._keep(by_hand.retry(self.lifecycle, self.change, newest, by))
        return ""

    def _cancel(self) -> str:
        there = deployments.unfinished(self.change.tx, self._preview().id)
        if not there:
            raise self._nothing("Nothing waits or runs for this preview.")
        for one in there:
            self._keep(self.lifecycle.cancel(self.change, one, self.speaker.login))
        return ""

    def _promote(self, name: str) -> str:
        self._refuse_place(name)
        release = self._live(self._preview())
        environment = self.lifecycle.environment(self.change, self.ground.app, name)
        locker = self.speaker.locker
        made = self._keep(by_hand.show(self.lifecycle, self.change, environment, release, by=locker))
        return f"{reference(made.id)} brings {release.name} to {name}."

    def _rollback(self, word: str | None) -> str:
        self._refuse_siblings()
        app, tx = self.ground.app, self.change.tx
        environment = known(environments.by_name(tx, app.id, PRODUCTION), "Nothing was live yet.")
        if word is not None:
            self._refuse_never_shown(environment, word)
        made = self._keep(
            self.lifecycle.rollback(
                self.change,
                app,
                PRODUCTION,
                word=word,
                by=self.speaker.login,
                heeds_lock=not self.speaker.locker.may_open(environment),
            )
        )
        assert made.release_id is not None
        release = releases.get(tx, made.release_id)
        return f"{reference(made.id)} brings {release.name} back. Automatic deploys wait until it is resumed."

    def _approve(self, verb: commands.Approve) -> str:
        newest = self._newest()
        if not self._is_meant and not approvals.is_held(newest) and newest.sha.startswith(verb.sha):
            raise UnconcernedError
        if self.ground.policy.previews.forks == "off" and not approvals.is_held(newest):
            raise RefusedError("Pull requests of forks are not deployed here.")
        approval = Approval(self.speaker.login, verb.sha, with_secrets=verb.with_secrets)
        self._keep(approvals.approve(self.lifecycle, self.change, newest, approval))
        return ""

    def _unlock(self) -> str:
        preview = self._preview()
        if preview.lock is None:
            raise self._nothing("The preview is not locked.")
        locks.unlock(self.lifecycle, self.change, preview, self.speaker.locker)
        return ""

    def _explain(self) -> str:
        newest, tx = self._newest(), self.change.tx
        said = f"{reference(newest.id)} of {newest.sha[:7]} is {newest.state}: {newest.reason}"
        if newest.delivery_id is None:
            return said
        found = deliveries.decisions_of(tx, newest.delivery_id)
        why = [one.sentence for one in found if one.app_id == newest.app_id and one.sentence != newest.reason]
        return f"{said.rstrip('.')}. It was decided: {why[0]}" if why else said

    def _preview(self) -> Environment:
        found = environments.by_name(self.change.tx, self.ground.app.id, preview_name(self.ground.number))
        if found is None:
            raise self._nothing("This pull request has no preview.")
        return found

    def _newest(self) -> Deployment:
        found = deployments.newest(self.change.tx, self._preview().id)
        is_left_out = found is not None and found.state is State.SKIPPED and not self._is_meant
        if found is None or is_left_out:
            raise self._nothing("Nothing was deployed for this pull request yet.")
        return found

    def _live(self, preview: Environment) -> Release:
        shown = preview.active_release_id if preview.archived_at is None else None
        found = releases.find(self.change.tx, shown) if shown is not None else None
        return known(found, "The preview shows nothing that could be promoted.")

    def _refuse_place(self, name: str) -> None:
        """Raise `RefusedError` unless the app has the environment, and the speaker may deploy there."""
        self._refuse_siblings()
        app = self.ground.app
        there = environments.of_apps(self.change.tx, [app.id])
        named = {one.name for one in there if one.kind is not EnvironmentKind.PREVIEW}
        known = {PRODUCTION, *named, *self.ground.policy.environments}
        if name not in known:
            raise RefusedError(f"There is no such environment, but: {', '.join(sorted(known)[:20])}.")
        if name == PRODUCTION and self.speaker.level < Level.MAINTAIN:
            # Who may only write can't merge into a protected branch, and should not get past that here.
            raise RefusedError("What is not merged goes to production only by the word of a maintainer.")

    def _refuse_siblings(self) -> None:
        if not self._is_meant:
            listed = ", ".join(self.ground.siblings)
            raise RefusedError(
                f"Several apps are made from this repository: name one of {listed} with --app."
            )

    def _refuse_never_shown(self, environment: Environment, word: str) -> None:
        tx = self.change.tx
        named = releases.by_word(tx, environment.app_id, word)
        shown = {release for _, release in deployments.shown(tx, environment.id)}
        if named is not None and named.id not in shown:
            raise RefusedError(f"{named.name} was never live in {environment.name}: promote it instead.")

    @property
    def _is_meant(self) -> bool:
        """Whether the command is for this very app, and not for whichever of several it concerns."""
        return self._names_app or len(self.ground.siblings) == 1

    def _nothing(self, text: str) -> Exception:
        return RefusedError(text) if self._is_meant else UnconcernedError()

    def _keep(self, made: Deployment) -> Deployment:
        self.made.append(made.id)
        return made
