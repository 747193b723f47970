"""Does what a person asked for: takes over the GitHub App, lists repositories, makes an app of one."""

import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, assert_never

import msgspec

from bot import github_app, manifest, render
from bot.clock import Clock, utc_now
from bot.domain.app import App
from bot.domain.audit import Act
from bot.domain.deployment import Commit
from bot.domain.errand import Errand, ErrandKind, ErrandState
from bot.domain.ids import DeliveryId, DomainId, ErrandId, ProjectId, TenantId
from bot.domain.listing import Listed, find, from_json, to_json
from bot.errors import ErrorCode, SlipwayError, UserError
from bot.github import source
from bot.github.client import GitHub
from bot.github.errors import GitHubError, RejectedError
from bot.github_app import Secrets, Shown
from bot.log import logger
from bot.queue import Queue
from bot.registration import Registry, Wish
from bot.settings import Settings
from bot.store import apps, audit, deliveries, errands, gaps, installations, people
from bot.store.deliveries import NewDelivery
from bot.store.engine import Engine, Tx, reading, writing
from bot.vault import Vault
from jobs.detecting import detect_for, draft_of, nothing_in
from jobs.domains import Domains
from jobs.git import Mirrors
from jobs.git.command import GitFailedError
from jobs.git.glance import Glance, glance
from jobs.mail import Mailer, MailError
from jobs.mailing import Mailing
from jobs.recovery import NO_COMMIT, push_payload
from jobs.suggest import Suggestion, chosen, suggest

AT_MOST = timedelta(minutes=4)
"""How long one errand may take before another process may try it."""
SETUP = "setup"
"""Source of the push that an app's first deployment comes from."""
_UNEXPECTED = "Slipway ran into an error of its own; the worker's log has it."


class RefusedError(Exception):
    """The errand can't be done; the text says why, and what to do."""


@dataclass(frozen=True)
class Errands:
    """Everything that errands need."""

    settings: Settings
    engine: Engine
    queue: Queue
    github: GitHub
    mirrors: Mirrors
    vault: Vault
    domains: Domains
    clock: Clock = utc_now

    def run(self, number: int) -> None:
        """Do an errand, unless it is done or somebody is at it; keep its result, or why there is none."""
        now = self.clock()
        with writing(self.engine) as tx:
            errand = errands.take(tx, ErrandId(number), now=now, until=now + AT_MOST)
        if errand is None:
            return
        try:
            result = self._do(errand)
        except (GitHubError, SlipwayError, GitFailedError, MailError, RefusedError) as error:
            code = {"code": error.code.value} if isinstance(error, SlipwayError) else None
            self._finish(errand, ErrandState.FAILED, result=code, note=_sentence(error))
        except Exception:  # noqa: BLE001  a person waits for an answer; the trace is the operator's
            logger.exception("an errand failed unexpectedly", errand=errand.id, kind=errand.kind)
            self._finish(errand, ErrandState.FAILED, note=_UNEXPECTED)
        else:
            self._finish(errand, ErrandState.DONE, result=result)

    def _finish(
        self, errand: Errand, state: ErrandState, *, result: Mapping[str, Any] | None = None, note: str = ""
    ) -> None:
        with writing(self.engine) as tx:
            errands.finish(tx, errand.id, state, self.clock(), result=result, note=note)

    def _do(self, errand: Errand) -> dict[str, Any]:
        match errand.kind:
            case ErrandKind.FINISH_SETUP:
                return self._finish_setup(errand)
            case ErrandKind.LIST_REPOSITORIES:
                return to_json(source.installations(self.github))
            case ErrandKind.MAKE_APP:
                return self._make_app(errand)
            case ErrandKind.REDELIVER:
                return self._redeliver(errand)
            case ErrandKind.SEND_MAIL:
                mailer = Mailer(self.settings, self.clock)
                Mailing(self.settings, self.engine, self.vault, mailer).send(errand)
            case ErrandKind.DETECT:
                return detect_for(self.mirrors, self.settings, errand.subject)
            case ErrandKind.CHECK_DOMAIN:
                self.domains.look_at(DomainId(errand.subject["domain"]))
            case _:
                assert_never(errand.kind)
        return {}

    def _finish_setup(self, errand: Errand) -> dict[str, Any]:
        assert errand.sealed is not None
        code = self.vault.open(errand.sealed).decode()
        try:
            made = source.convert(self.github, code)
        except RejectedError as error:
            text = "GitHub does not take the code: it works once, and for an hour. Make the App anew."
            raise RefusedError(text) from error
        has_hook = manifest.has_hook(self.settings)
        secret = made.webhook_secret or secrets.token_hex(32)
        shown = Shown(
            id=str(made.id),
            name=made.name,
            slug=made.slug,
            client_id=made.client_id,
            page=made.html_url,
            owner=made.owner.login if made.owner else "",
            api_url=self.settings.github_api_url,
            has_hook=has_hook,
        )
        with writing(self.engine) as tx:
            github_app.keep(tx, self.vault, shown, Secrets(made.pem, made.client_secret, secret))
            audit.record(tx, _act("github-app.made", errand, made.slug), self.clock())
        logger.info("a GitHub App was made", app=made.slug)
        if has_hook and not made.webhook_secret:
            source.set_hook_secret(self.github, self.settings.url + manifest.HOOK, secret)
        return {"slug": made.slug, "page": made.html_url}

    def _redeliver(self, errand: Errand) -> dict[str, Any]:
        with reading(self.engine) as tx:
            known = gaps.last_check(tx).open.get(errand.subject["guid"])
        if known is None:
            raise RefusedError("This delivery is no gap any more.")
        self.github.redeliver(known.attempt)
        return {}

    def _make_app(self, errand: Errand) -> dict[str, Any]:
        with reading(self.engine) as tx:
            last = errands.newest(tx, ErrandKind.LIST_REPOSITORIES, ErrandState.DONE)
        number = errand.subject["repository_id"]
        listed = find(from_json(last.result), repository_id=number) if last else None
        if listed is None:
            raise RefusedError("This repository is not listed any more; list the repositories again.")
        tenant, project = self._home(errand, listed)
        with glance(self.mirrors, draft_of(listed, tenant), listed.default_branch) as seen:
            root: str | None = errand.subject.get("root")
            found = suggest(seen.names, seen.read, root)
            meant = chosen(found)
            if meant is None and found:
                return {"choices": [one.facts() for one in found], "repository": listed.full_name}
            if meant is None:
                raise UserError(ErrorCode.NOTHING_DETECTED, **nothing_in(seen.names, root))
            app = self._register(errand, listed, meant=meant, seen=seen, scope=(tenant, project))
        return {"slug": app.slug, **meant.facts()}

    def _home(self, errand: Errand, listed: Listed) -> tuple[TenantId, ProjectId]:
        """Where the app goes: to the tenant that asks, which must be one that may use the installation."""
        with writing(self.engine) as tx:
            scope = apps.ensure_default_scope(tx, self.clock())
            asks: int | None = errand.subject.get("tenant_id")
            if asks is not None:
                scope = TenantId(asks), people.projects_of(tx, TenantId(asks))[0].id
            if not installations.may_use(tx, scope[0], listed.installation_id):
                text = f"The GitHub App's installation on {listed.full_name} is another organisation's."
                raise RefusedError(text)
        return scope

    def _register(
        self,
        errand: Errand,
        listed: Listed,
        *,
        meant: Suggestion,
        seen: Glance,
        scope: tuple[TenantId, ProjectId],
    ) -> App:
        wish = Wish(repository=listed.full_name, root_directory=meant.root)
        commit = Commit(seen.sha, seen.message)
        with writing(self.engine) as tx:
            for one in apps.of_repository(tx, listed.id, listed.full_name):
                if one.root_directory == meant.root and one.tenant_id == scope[0]:
                    return one
            registry = Registry(self.settings, self.vault)
            app = registry.register(tx, wish, self.clock(), scope, listed=listed).app
            own = {"tenant_id": app.tenant_id, "app_id": app.id, "after": {"repository": app.repository}}
            audit.record(tx, _act("app.created", errand, f"app {app.slug}", **own), self.clock())
            added = self._first_push(tx, app, commit)
        self.queue.intake(added)
        return app

    def _first_push(self, tx: Tx, app: App, commit: Commit) -> list[DeliveryId]:
        """So that what is there already goes live, by the way that every push goes."""
        body = msgspec.json.encode(push_payload(app, app.production_branch, commit, NO_COMMIT))
        guid = f"{SETUP}-{app.id}-{commit.sha}"
        new = NewDelivery(SETUP, guid, "push", body, self.clock(), source=SETUP, verified_app_id=app.id)
        return list(deliveries.insert_new(tx, [new]).values())


def _act(action: str, errand: Errand, subject: str, **more: Any) -> Act:
    return Act(action, "slipway", "slipway", f"errand {errand.id}", subject=subject, **more)


def _sentence(error: GitHubError | SlipwayError | GitFailedError | MailError | RefusedError) -> str:
    if isinstance(error, SlipwayError):
        return render.message_or(error.code, error.facts, str(error))
    return str(error)
