"""`POST /hooks/{token}`: whoever knows a deploy hook's address brings its branch live.

The address is a secret: it is written nowhere, also not in the log.
"""

from redis.exceptions import RedisError
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response

from bot.api.apps import refuse_archived
from bot.api.envelope import failure, success
from bot.api.operation import Services
from bot.api.rates import Limiter
from bot.api.reading import body_of, request_id_of
from bot.api.refusals import Code, RefusalError, refusal_of
from bot.attempts import Attempts
from bot.change import Change
from bot.domain.app import App
from bot.domain.audit import Act
from bot.domain.deployment import UNKNOWN_COMMIT, Commit, Deployment, Hold, Trigger
from bot.domain.ids import reference
from bot.errors import SlipwayError
from bot.lifecycle import Order
from bot.log import logger
from bot.minted import HOOK, fits, read
from bot.store import apps, audit, deploy_hooks, environments
from bot.store.deploy_hooks import Hook
from bot.store.engine import StoreError, reading


class HookDoor:
    """Takes calls of deploy hooks."""

    def __init__(self, services: Services, limiter: Limiter) -> None:
        self._services = services
        self._limiter = limiter
        self._attempts = Attempts()

    async def answer(self, request: Request) -> Response:
        """202 with the deployment; 404 for an address that there is not; 429 for too many calls."""
        request_id = request_id_of(request)
        try:
            # Senders tell all sorts of things, of which nothing is used.
            await body_of(request)
            data = await run_in_threadpool(self._open, request, request_id)
        except RefusalError as refusal:
            return failure(refusal, request_id=request_id)
        except SlipwayError as error:
            return failure(refusal_of(error), request_id=request_id)
        except (StoreError, RedisError) as error:
            logger.error("a deploy hook could not be answered", error=repr(error))
            message = "The store or the queue does not answer. Nothing was changed; try again in a moment."
            refusal = RefusalError(503, Code.NOT_NOW, message, headers={"Retry-After": "2"})
            return failure(refusal, request_id=request_id)
        return success(data, request_id=request_id, status=202)

    def _open(self, request: Request, request_id: str) -> dict[str, str]:
        address = request.client.host if request.client else ""
        hook, app = self._find(request.path_params["token"], address)
        self._limiter.take_hook(hook.handle)
        refuse_archived(app)
        with self._services.lifecycle.change() as change:
            made = self._deploy(change, app, hook)
            deploy_hooks.note_use(change.tx, hook.id, change.now)
            act = Act(
                action="deployHook",
                actor=f"the deploy hook '{hook.name}'",
                actor_key=f"hook:{hook.id}",
                origin=f"{address} {request_id}".strip(),
                tenant_id=app.tenant_id,
                app_id=app.id,
                subject=reference(made.id),
            )
            audit.record(change.tx, act, change.now)
        where = f"{self._services.settings.url}/deployments/{reference(made.id)}"
        names = {"app": app.slug, "environment": hook.environment, "status": made.state.value}
        return {"deployment": reference(made.id), **names, "url": where}

    def _find(self, token: str, address: str) -> tuple[Hook, App]:
        handle, secret = read(token, HOOK) or ("", "")
        with reading(self._services.lifecycle.engine) as tx:
            hook = deploy_hooks.by_handle(tx, handle) if handle else None
            app = apps.find(tx, hook.app_id) if hook else None
        if hook is not None and app is not None and fits(secret, hook.digest):
            return hook, app
        if pause := self._attempts.pause(address):
            seconds = str(int(pause) + 1)
            message = f"Too many wrong addresses were tried. Try again in {seconds} seconds."
            raise RefusalError(429, Code.LOCKED_OUT, message, headers={"Retry-After": seconds})
        self._attempts.failed(address)
        message = "There is no such deploy hook. It may have been revoked, or copied incompletely."
        raise RefusalError(404, Code.NOT_FOUND, message)

    def _deploy(self, change: Change, app: App, hook: Hook) -> Deployment:
        environment = environments.by_name(change.tx, app.id, hook.environment)
        follows = environment.branch if environment else None
        by = f"the deploy hook '{hook.name}'"
        order = Order(
            app=app,
            environment=hook.environment,
            branch=hook.branch or follows or app.production_branch,
            commit=Commit(UNKNOWN_COMMIT),
            trigger=Trigger.MANUAL,
            reason=f"asked for by {by}",
            requested_by=by,
            # Nobody calls it for what a push would bring: something outside of the repository has changed.
            rebuild=True,
            # No person decides here: what was pinned by one stays as it is.
            hold=Hold.PINNED if environment is not None and environment.pinned else None,
        )
        return self._services.lifecycle.request(change, order).deployment
