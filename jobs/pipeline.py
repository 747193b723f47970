"""The steps in order, each logged, timed and checked for a wish to stop."""

import shutil
from collections.abc import Callable, Generator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import Any

from bot import troubles
from bot.clock import Clock, utc_now
from bot.domain.app import App
from bot.domain.deployment import UNKNOWN_COMMIT, Commit, Kind, Phase
from bot.domain.environment import Environment
from bot.domain.ids import DeploymentId, reference
from bot.domain.release import Release
from bot.errors import ErrorCode, PlatformError, SlipwayError, UserError
from bot.leases import Claim, Leases
from bot.lifecycle import Lifecycle, Order
from bot.log import logger
from bot.logs import DeploymentLog
from bot.render import message_or
from bot.settings import Settings
from bot.store import apps, deployments, releases
from bot.store.engine import Engine, reading, writing
from bot.store.releases import NewRelease
from jobs.artifacts.store import ArtifactStore
from jobs.copying import remove_folder
from jobs.git import Mirrors
from jobs.heads import overtaking
from jobs.sandbox.box import Sandbox
from jobs.sites import Sites
from jobs.steps import build, checkout, package, plan, verify
from jobs.steps import release as release_step
from jobs.steps.context import Context, Plan, Source
from jobs.stopping import StoppedError
from jobs.watch import Watch, Why

_FULL = 1024 * 1024
"""With fewer bytes left on the disk, it and not the repository is why a build failed."""


class OvertakenError(Exception):
    """The branch has a newer commit than this deployment's; `by` is the deployment of that one."""

    def __init__(self, by: DeploymentId) -> None:
        self.by = by
        super().__init__(reference(by))


@dataclass(frozen=True)
class Tools:
    """What the steps work with, one for each system that they touch."""

    mirrors: Mirrors
    sandbox: Sandbox
    artifacts: ArtifactStore
    sites: Sites
    open_log: Callable[[App, DeploymentId], DeploymentLog]


class Pipeline:
    """Brings one claimed deployment to its release."""

    def __init__(
        self,
        *,
        settings: Settings,
        lifecycle: Lifecycle,
        leases: Leases,
        tools: Tools,
        clock: Clock = utc_now,
        patience: float = verify.PATIENCE_SECONDS,
    ) -> None:
        self._patience = patience
        self._settings = settings
        self._lifecycle = lifecycle
        self._engine: Engine = lifecycle.engine
        self._leases = leases
        self._tools = tools
        self._clock = clock

    def run(self, claim: Claim, watch: Watch) -> Release:
        """Run every step. Raises `StoppedError`, `OvertakenError`, `UserError` or `PlatformError`."""
        with _faults_named(), reading(self._engine) as tx:
            app = apps.get(tx, claim.environment.app_id)
        with _faults_named():
            log = self._tools.open_log(app, claim.deployment.id)
        workspace = self._settings.home / "work" / f"{claim.deployment.id}-{claim.deployment.attempt}"
        is_last = True
        try:
            with _troubles_said(log, self._settings.home):
                workspace.mkdir(parents=True)
                context = self._context(app, claim, watch, log=log, workspace=workspace)
                release = self._release_of(context, claim)
                self._publish(context, claim, watch, release)
        except PlatformError as error:
            again = troubles.pause_before(error, claim.deployment.attempt) is not None
            is_last = not again and error.code is not ErrorCode.LEASE_LOST
            raise
        else:
            return release
        finally:
            remove_folder(workspace)
            # Another attempt goes on, or is at work already, in the same log.
            log.close(final=is_last and watch.why not in (Why.HANDED_BACK, Why.LEASE_LOST))

    def _context(
        self, app: App, claim: Claim, watch: Watch, *, log: DeploymentLog, workspace: Path
    ) -> Context:
        return Context(
            app=app,
            environment=claim.environment,
            deployment=claim.deployment,
            settings=self._settings,
            log=log,
            workspace=workspace,
            stopped=watch.stopped,
            ran=lambda phase, command, code: self._ran(claim, phase, command, code),
        )

    def _release_of(self, context: Context, claim: Claim) -> Release:
        if claim.deployment.kind is Kind.ROLLBACK:
            assert claim.deployment.release_id is not None
            with reading(self._engine) as tx:
                return releases.get(tx, claim.deployment.release_id)
        with self._step(context, claim, Phase.CHECKOUT):
            context, claim = self._know_commit(context, claim)
            self._yield_to_newer(context, claim)
            source = checkout.run(context, self._tools.mirrors)
        with self._step(context, claim, Phase.PLAN):
            planned = plan.run(context, source)
            same = self._same_content(context, claim, planned)
        return same or self._build(context, claim, source, planned)

    def _build(self, context: Context, claim: Claim, source: Source, planned: Plan) -> Release:
        with self._step(context, claim, Phase.BUILD):
            output = build.run(context, source, planned, self._tools.sandbox)
        with self._step(context, claim, Phase.PACKAGE):
            packed = package.run(context, output, planned, self._tools.artifacts)
            new = NewRelease(
                app_id=context.app.id,
                key=planned.key,
                manifest=packed.manifest,
                sha=context.deployment.sha,
                files=packed.files,
                size=packed.size,
                spa=planned.spa,
                deployment_id=context.deployment.id,
            )
            with writing(self._engine) as tx:
                release = releases.insert(tx, new, self._clock())
                deployments.set_release(tx, claim.deployment.id, release.id)
            context.log.say("package", f"Release {release.name}.")
            return release

    def _publish(self, context: Context, claim: Claim, watch: Watch, release: Release) -> None:
        """Show the release. What fails after the switch is taken back, so that a failure is never live."""
        try:
            with self._step(context, claim, Phase.RELEASE):
                ready = release_step.prepare(context, release, self._tools.artifacts)
                context.check()
                activation = self._leases.switch(claim, release.id)
                release_step.activate(context, ready, activation, self._tools.sites)
            # A wish to cancel that comes after the switch is too late: what is live was never unverified.
            live = replace(context, stopped=watch.must_leave)
            with self._step(live, claim, Phase.VERIFY):
                verify.run(live, release.id, patience=self._patience)
        except StoppedError:
            raise
        except Exception:
            self._take_back(context, claim)
            raise

    def _take_back(self, context: Context, claim: Claim) -> None:
        environment = self._leases.withdraw(claim)
        if environment is None:
            return
        try:
            self._show(context, environment)
        except (OSError, SlipwayError) as error:
            logger.warning("the edge was not put back; the sweep will", error=str(error))

    def _show(self, context: Context, environment: Environment) -> None:
        if environment.active_release_id is None:
            self._tools.sites.retire(environment.hostname)
            context.log.say("release", "Taken down again: nothing was live before.")
            return
        with reading(self._engine) as tx:
            before = releases.get(tx, environment.active_release_id)
        context.log.say("release", f"Back to {before.name}.")
        ready = release_step.prepare(context, before, self._tools.artifacts)
        release_step.activate(context, ready, environment.activation, self._tools.sites)

    def _same_content(self, context: Context, claim: Claim, planned: Plan) -> Release | None:
        with writing(self._engine) as tx:
            same = releases.by_key(tx, context.app.id, planned.key)
            if same is not None:
                # In one transaction: from here on retention spares it.
                deployments.set_release(tx, claim.deployment.id, same.id)
        if same is None or not release_step.is_whole(context, same, self._tools.artifacts):
            return None
        context.log.say("plan", f"Same content as release {same.name}: nothing to build.")
        return same

    def _know_commit(self, context: Context, claim: Claim) -> tuple[Context, Claim]:
        """Ask git for the head of the branch, where a deployment was asked for without a commit."""
        deployment = claim.deployment
        if deployment.sha != UNKNOWN_COMMIT or deployment.branch is None:
            return context, claim
        head = checkout.newest_head(context, self._tools.mirrors, deployment.branch)
        context.log.say("checkout", f"{deployment.branch} is at {head}.")
        commit = Commit(head, self._tools.mirrors.message(context.app, head))
        known = self._leases.identify(claim, commit)
        return replace(context, deployment=known.deployment), known

    def _yield_to_newer(self, context: Context, claim: Claim) -> None:
        """Let the branch's newest commit win; the event may be old by the time its work starts."""
        deployment = claim.deployment
        if not deployment.trigger.is_automatic or deployment.branch is None:
            return
        head = checkout.newest_head(context, self._tools.mirrors, deployment.branch)
        if head == deployment.sha:
            return
        newest = Commit(head, self._tools.mirrors.message(context.app, head))
        if overtaking(self._tools.mirrors, context.app, deployment.sha, newest) is None:
            return
        order = Order(
            app=context.app,
            environment=claim.environment.name,
            branch=deployment.branch,
            commit=newest,
            trigger=deployment.trigger,
            reason=f"{deployment.branch} moved on to {head[:7]}",
            requested_by=deployment.requested_by,
            delivery_id=deployment.delivery_id,
        )
        with self._lifecycle.change() as change:
            newer = self._lifecycle.request(change, order).deployment
        if newer.id == deployment.id:
            raise PlatformError(ErrorCode.UNEXPECTED, error="a deployment can't overtake itself")
        context.log.say(
            "checkout", f"{deployment.branch} is at {head[:7]} by now: {reference(newer.id)} goes on."
        )
        raise OvertakenError(newer.id)

    @contextmanager
    def _step(self, context: Context, claim: Claim, phase: Phase) -> Generator[None]:
        context.check()
        self._leases.enter(claim, phase)
        began = self._clock()
        try:
            yield
        except BaseException:
            context.log.end_step(phase)
            self._change_step(claim, phase, state="failed", finished_at=self._clock())
            raise
        # Its success is stored with the beginning of the next step, or with the last word.
        context.log.end_step(phase)
        context.log.say(phase, f"Done in {_duration(began, self._clock())}.")

    def _ran(self, claim: Claim, phase: Phase, command: str, code: int) -> None:
        self._change_step(claim, phase, command=command, exit_code=code)

    def _change_step(self, claim: Claim, phase: Phase, **changes: Any) -> None:
        with writing(self._engine) as tx:
            deployments.change_step(tx, claim.deployment.id, claim.deployment.attempt, phase, **changes)


@contextmanager
def _troubles_said(log: DeploymentLog, home: Path) -> Generator[None]:
    """Say in the log why the work failed, and name faults of the machine."""
    try:
        with _faults_named(), _full_disk_told_from_a_bad_build(home):
            yield
    except SlipwayError as error:
        for line in f"Failed: {message_or(error.code, error.facts, str(error))}".splitlines():
            log.say("end", line)
        raise
    except (StoppedError, OvertakenError):
        raise
    except Exception as error:
        log.say("end", f"Failed: an error of Slipway's own, {type(error).__name__}")
        raise


@contextmanager
def _faults_named() -> Generator[None]:
    try:
        yield
    except Exception as error:
        fault = troubles.named(error)
        if fault is None or fault is error:
            raise
        raise fault from error


@contextmanager
def _full_disk_told_from_a_bad_build(home: Path) -> Generator[None]:
    try:
        yield
    except UserError as error:
        left = shutil.disk_usage(home).free
        if error.code not in (ErrorCode.BUILD_FAILED, ErrorCode.INSTALL_FAILED) or left > _FULL:
            raise
        raise PlatformError(ErrorCode.DISK_FULL, detail=f"the build ended with {left} bytes left") from error


def _duration(began: datetime, ended: datetime) -> str:
    seconds = (ended - began).total_seconds()
    return f"{seconds * 1000:.0f} ms" if seconds < 1 else f"{seconds:.1f} s"
