"""The steps in order, each logged, timed and checked for a wish to stop."""

from collections.abc import Callable, Collection, Generator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import Any

from bot import troubles, trusting
from bot.approvals import hold_of_newer
from bot.clock import Clock, utc_now
from bot.domain.app import App
from bot.domain.deployment import UNKNOWN_COMMIT, Deployment, Kind, Phase
from bot.domain.environment import EnvironmentKind
from bot.domain.ids import DeploymentId, Sha, reference
from bot.domain.release import Release
from bot.domain.trust import Trust
from bot.errors import ErrorCode, PlatformError, UserError
from bot.gates import checks_for
from bot.intake.recipe import policy_from_json
from bot.intake.recipe_file import Policy
from bot.leases import Claim, Leases
from bot.lifecycle import Lifecycle
from bot.logs import DeploymentLog
from bot.orders import Order
from bot.settings import Settings
from bot.store import apps, deployments, environments, pulls, releases, steps
from bot.store.engine import Engine, reading, writing
from bot.store.releases import NewRelease
from bot.variables import NOTHING, Given
from jobs import required
from jobs.addresses import Addresses
from jobs.artifacts.store import ArtifactStore
from jobs.copying import remove_folder
from jobs.git import Mirrors
from jobs.heads import overtaking
from jobs.sandbox.box import Sandbox
from jobs.secrecy import silent_about
from jobs.showing import Showing
from jobs.sites import Sites
from jobs.steps import build, checkout, package, plan, verify
from jobs.steps import release as release_step
from jobs.steps.context import Context, Plan, Source
from jobs.stopping import OvertakenError, StoppedError
from jobs.troubled import faults_named, troubles_said
from jobs.watch import Watch, Why


@dataclass(frozen=True)
class Tools:
    """What the steps work with, one for each system that they touch."""

    mirrors: Mirrors
    sandbox: Sandbox
    artifacts: ArtifactStore
    sites: Sites
    addresses: Addresses
    open_log: Callable[[App, DeploymentId, Collection[str]], DeploymentLog]
    give: Callable[[App, Claim], Given]


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
        self._showing = Showing(self._engine, leases, tools.artifacts, tools.sites, tools.addresses)
        self._clock = clock

    def run(self, claim: Claim, watch: Watch) -> Release:
        """Run every step. Raises `StoppedError`, `OvertakenError`, `UserError` or `PlatformError`."""
        with faults_named(), reading(self._engine) as tx:
            app, pull = apps.get(tx, claim.environment.app_id), trusting.pull_of(tx, claim.deployment)
        with faults_named():
            # What must never show is known before there is a log to show it.
            given = NOTHING if claim.deployment.kind is Kind.ROLLBACK else self._tools.give(app, claim)
            log = self._tools.open_log(app, claim.deployment.id, given.secret_values.values())
        workspace = self._settings.home / "work" / f"{claim.deployment.id}-{claim.deployment.attempt}"
        is_last, home, kept_open = True, self._settings.home, self._tools.mirrors.kept_open()
        try:
            with silent_about(given), troubles_said(log, home), kept_open:
                workspace.mkdir(parents=True)
                context = self._context(app, claim, watch, log=log, workspace=workspace)
                context = replace(context, variables=given, pull=pull)
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
            ran=lambda phase, said, code: self._change_step(claim, phase, command=said, exit_code=code),
        )

    def _release_of(self, context: Context, claim: Claim) -> Release:
        self._refuse_place(context)
        if claim.deployment.kind is Kind.ROLLBACK:
            assert claim.deployment.release_id is not None
            with reading(self._engine) as tx:
                return releases.get(tx, claim.deployment.release_id)
        with self._step(context, claim, Phase.CHECKOUT):
            context, claim = self._know_commit(context, claim)
            self._yield_to_newer(context, claim)
            source = checkout.run(context, self._tools.mirrors)
            if not context.deployment.message:
                context, claim = self._named(context, claim, context.deployment.sha)
        with self._step(context, claim, Phase.PLAN):
            planned = plan.run(context, source, self._mentions(context))
            required.see(self._engine, context, planned)
            same = None if context.deployment.rebuild else self._same_content(context, claim, planned)
        return same or self._build(context, claim, source, planned)

    def _refuse_place(self, context: Context) -> None:
        """Keep a stranger's code in its preview, and its pages off the domain of other sites."""
        if context.trust is Trust.STRANGER and context.environment.kind is not EnvironmentKind.PREVIEW:
            sha, name = context.deployment.sha, context.environment.name
            raise UserError(ErrorCode.COMMIT_OF_FORK, sha=sha, environment=name)
        domain = self._settings.domain_of_forks
        hostname = context.environment.hostname
        if context.deployment.from_fork and (domain is None or not hostname.endswith(f".{domain}")):
            raise PlatformError(ErrorCode.FORK_DOMAIN_MISSING, domain=self._settings.preview_domain)

    def _mentions(self, context: Context) -> Callable[[Sequence[str]], bool]:
        sha = context.deployment.sha
        return lambda words: self._tools.mirrors.mentions(context.app, sha, words)

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
                variables=context.variables.prints if planned.is_built else None,
                trust=context.trust,
            )
            # Synced, since the edge's folder is named by its number: no other release may ever get that.
            with writing(self._engine) as tx:
                release = releases.insert(tx, new, self._clock())
                deployments.set_release(tx, claim.deployment.id, release.id)
            context.log.say("package", f"Release {release.name}.")
            return release

    def _publish(self, context: Context, claim: Claim, watch: Watch, release: Release) -> None:
        """Show the release. What fails after the switch is taken back, so that a failure is never live."""
        try:
            with self._step(context, claim, Phase.RELEASE):
                self._showing.go_live(context, claim, release)
            live = replace(context, stopped=lambda: self._showing.must_leave(claim, watch))
            with self._step(live, claim, Phase.VERIFY):
                verify.run(live, release.id, patience=self._patience)
        except StoppedError:
            raise
        except Exception:
            self._showing.take_back(context, claim, release)
            raise

    def _same_content(self, context: Context, claim: Claim, planned: Plan) -> Release | None:
        with writing(self._engine, synced=False) as tx:
            same = releases.by_key(tx, context.app.id, planned.key)
            if same is not None:
                # In one transaction: from here on retention spares it.
                deployments.set_release(tx, claim.deployment.id, same.id)
        if same is None or not release_step.is_whole(context, same, self._tools.artifacts):
            return None
        context.log.say("plan", f"Same content as release {same.name}: nothing to build.")
        return same

    def _know_commit(self, context: Context, claim: Claim) -> tuple[Context, Claim]:
        """Ask git for the head of the branch, or for the tag, where that was asked for without a commit."""
        deployment, mirrors = claim.deployment, self._tools.mirrors
        name = deployment.tag or deployment.branch
        if deployment.sha != UNKNOWN_COMMIT or name is None:
            return context, claim
        find = checkout.tagged if deployment.tag is not None else checkout.newest_head
        head = find(context, mirrors, name)
        context.log.say("checkout", f"{name} is at {head}.")
        return self._named(context, claim, head)

    def _named(self, context: Context, claim: Claim, sha: Sha) -> tuple[Context, Claim]:
        known = self._leases.identify(claim, self._tools.mirrors.commit_of(context.app, sha))
        return replace(context, deployment=known.deployment), known

    def _yield_to_newer(self, context: Context, claim: Claim) -> None:
        """Let the branch's newest commit win; the event may be old by the time its work starts."""
        deployment = claim.deployment
        if not deployment.trigger.is_automatic or self._waited(claim):
            return
        head = self._head(context)
        if head is None or head == deployment.sha:
            return
        newest = self._tools.mirrors.commit_of(context.app, head)
        with reading(self._engine) as tx:
            policy = policy_from_json(apps.policy(tx, context.app.id)) or Policy()
        mirrors, markers = self._tools.mirrors, policy.skip_markers
        if overtaking(mirrors, context.app, deployment.sha, newest, markers=markers) is None:
            return
        order = Order(
            app=context.app,
            environment=claim.environment.name,
            branch=deployment.branch,
            commit=newest,
            trigger=deployment.trigger,
            reason=f"{_place(deployment)} moved on to {head[:7]}",
            requested_by=deployment.requested_by,
            delivery_id=deployment.delivery_id,
            pull=deployment.pull,
            hold=hold_of_newer(deployment, policy.previews),
        )
        with self._lifecycle.change() as change:
            if environments.get(change.tx, claim.environment.id).archived_at is not None:
                raise StoppedError
            newer = self._lifecycle.request(change, order).deployment
        if newer.id == deployment.id:
            raise PlatformError(ErrorCode.UNEXPECTED, error="a deployment can't overtake itself")
        said = f"{_place(deployment)} is at {head[:7]} by now: {reference(newer.id)} goes on."
        context.log.say("checkout", said)
        raise OvertakenError(newer.id)

    def _waited(self, claim: Claim) -> bool:
        """Whether commits wait for checks here: a newer one may not go before its own have passed."""
        with reading(self._engine) as tx:
            return checks_for(tx, claim.environment.app_id, claim.environment.name) is not None

    def _head(self, context: Context) -> Sha | None:
        """Where the deployment's branch, or its pull request, is now."""
        deployment, app = context.deployment, context.app
        if deployment.pull is None:
            branch, mirrors = deployment.branch, self._tools.mirrors
            return checkout.newest_head(context, mirrors, branch, lately=True) if branch is not None else None
        with reading(self._engine) as tx:
            known = pulls.of_app(tx, app, deployment.pull)
        return checkout.newest_pull_head(context, self._tools.mirrors, known) if known is not None else None

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

    def _change_step(self, claim: Claim, phase: Phase, **changes: Any) -> None:
        with writing(self._engine, synced=False) as tx:
            steps.change(tx, claim.deployment.id, claim.deployment.attempt, phase, **changes)


def _place(deployment: Deployment) -> str:
    return f"#{deployment.pull}" if deployment.pull is not None else str(deployment.branch)


def _duration(began: datetime, ended: datetime) -> str:
    seconds = (ended - began).total_seconds()
    return f"{seconds * 1000:.0f} ms" if seconds < 1 else f"{seconds:.1f} s"
