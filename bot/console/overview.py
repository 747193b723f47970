"""The pages of all apps and of one app."""

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response

from bot import pending
from bot.console.pages import Pages
from bot.console.visitor import visitor
from bot.domain.app import App
from bot.domain.release import Release
from bot.store import apps, console, environments, releases
from bot.store.console import Listed, Place
from bot.store.engine import Engine, reading

LATEST = 30
_RELEASES = 50
_Facts = tuple[App, list[Place], list[Listed], list[Release], dict[str, list[str]]]


class Overview:
    """`/` and `/apps/{app}`."""

    def __init__(self, engine: Engine, pages: Pages) -> None:
        self._engine = engine
        self._pages = pages

    async def show(self, _request: Request) -> Response:
        """Every app with its environments, and the latest deployments."""
        return await run_in_threadpool(self._overview)

    async def show_app(self, request: Request) -> Response:
        """One app with its environments, deployments and releases."""
        return await run_in_threadpool(self._app, request.path_params["app"])

    def _overview(self) -> Response:
        with reading(self._engine) as tx:
            scope = visitor().scope
            places, latest = console.places(tx, tenant=scope), console.newest(tx, LATEST, tenant=scope)
        return self._pages.show("overview.html", places=places, latest=latest)

    def _app(self, slug: str) -> Response:
        found = self._facts_of(slug)
        if found is None:
            return self._pages.problem(404)
        app, places, latest, kept, changed = found
        live = {
            release.id: [place.environment for place in places if place.release_id == release.id]
            for release in kept
        }
        return self._pages.show(
            "app.html", app=app, places=places, latest=latest, releases=kept, live=live, changed=changed
        )

    def _facts_of(self, slug: str) -> _Facts | None:
        with reading(self._engine) as tx:
            app = apps.by_slug(tx, slug)
            if app is None or not visitor().sees(app.tenant_id):
                return None
            kept = releases.of_app(tx, app.id)[:_RELEASES]
            there = [one for one in environments.of_apps(tx, [app.id]) if one.archived_at is None]
            names = {one.id: one.name for one in there}
            changed = {names[one]: found for one, found in pending.of_app(tx, app, there).items()}
            return app, console.places(tx, app.id), console.newest(tx, LATEST, app.id), kept, changed
