"""`/setup`: makes the GitHub App, lists what it may see, and makes apps of repositories."""

import json
import re
from datetime import timedelta
from urllib.parse import urlsplit

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from bot import github_app, manifest
from bot.console.access import Access, is_same_origin
from bot.console.desk import Desk
from bot.console.forms import read_form
from bot.console.pages import HEADERS, Pages
from bot.console.visitor import visitor
from bot.domain.errand import ErrandKind, ErrandState
from bot.domain.ids import ErrandId
from bot.domain.listing import from_json
from bot.store import apps
from bot.store.engine import reading

STATE_LIFE = timedelta(hours=1)
"""GitHub's code lives as long."""
SETUP = "make a GitHub App"
"""What a state allows."""
# What GitHub takes as an organization's name, and as a code.
_ORGANIZATION = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9-]{0,38})")
_CODE = re.compile(r"[A-Za-z0-9_-]{8,200}")


class SetupPages:
    """`/setup` and what belongs to it."""

    def __init__(self, pages: Pages, access: Access, desk: Desk) -> None:
        self._pages = pages
        self._access = access
        self._desk = desk
        self._settings = desk.settings

    async def show(self, request: Request) -> Response:
        """The page: the form that makes the App, or what the App may see; of others, what they installed."""
        if not visitor().is_operator:
            return _of_person(request)
        organization = request.query_params.get("organization", "").strip()
        state = self._access.state(SETUP, request, STATE_LIFE)
        if not _ORGANIZATION.fullmatch(organization):
            organization = ""
        return await run_in_threadpool(self._page, organization, state)

    async def come_back(self, request: Request) -> Response:
        """`GET /setup/github`: GitHub sends its user here with the code of the App that it made."""
        code, state = request.query_params.get("code", ""), request.query_params.get("state", "")
        if not _CODE.fullmatch(code) or not self._access.is_state(SETUP, request, state):
            return self._pages.show(
                "problem.html",
                status=403,
                code=403,
                title="Not from here",
                advice=(
                    "This visit does not belong to an App that you began to make here within the last hour. "
                    "Begin again on the page GitHub. Or, on the server: slipway github finish CODE, with the "
                    "code that this page's address holds."
                ),
            )
        await run_in_threadpool(self._desk.ask, ErrandKind.FINISH_SETUP, secret=code)
        return _to("/setup")

    async def refresh(self, request: Request) -> Response:
        """`POST /setup/refresh`: list the repositories anew."""
        if not is_same_origin(request):
            return self._pages.problem(403)
        await run_in_threadpool(self._desk.ask, ErrandKind.LIST_REPOSITORIES)
        return _to("/setup")

    async def make_app(self, request: Request) -> Response:
        """`POST /setup/apps`: make an app of a listed repository, in a root directory where one is chosen."""
        if not is_same_origin(request):
            return self._pages.problem(403)
        form = await read_form(request)
        number = form.get("repository", "")
        if not number.isascii() or not number.isdigit() or len(number) > 18:
            return self._pages.problem(404)
        subject: dict[str, object] = {"repository_id": int(number)}
        if "root" in form or form.get("chosen"):
            subject["root"] = form.get("root", "")
        errand = await run_in_threadpool(self._desk.ask, ErrandKind.MAKE_APP, subject)
        return _to(f"/setup/apps/{errand}")

    async def show_app(self, request: Request) -> Response:
        """`GET /setup/apps/{errand}`: what became of making an app."""
        number: int = request.path_params["errand"]
        errand = await run_in_threadpool(self._desk.get, ErrandId(number)) if number < 2**62 else None
        if errand is None or errand.kind is not ErrandKind.MAKE_APP:
            return self._pages.problem(404)
        return self._pages.show("making.html", errand=errand, choices=errand.result.get("choices", []))

    def _page(self, organization: str, state: str) -> Response:
        settings = self._settings
        with reading(self._desk.engine) as tx:
            made = github_app.shown(tx, settings)
            known = {app.repository_id: app for app in apps.all_apps(tx)}
        finishing = self._desk.newest(ErrandKind.FINISH_SETUP)
        can_list = bool(made or settings.github_app_id or settings.github_token)
        if can_list:
            self._desk.ask_again(ErrandKind.LIST_REPOSITORIES)
        last = self._desk.newest(ErrandKind.LIST_REPOSITORIES)
        done = self._desk.newest(ErrandKind.LIST_REPOSITORIES, ErrandState.DONE)
        page = self._pages.show(
            "setup.html",
            made=made,
            settings=settings,
            finishing=finishing,
            can_list=can_list,
            last=last if can_list else None,
            listed_at=done.finished_at if done and can_list else None,
            installations=from_json(done.result) if done and can_list else (),
            known=known,
            manifest=json.dumps(manifest.manifest(settings)),
            has_hook=manifest.has_hook(settings),
            action=manifest.creation_url(settings, state, organization),
            organization=organization,
        )
        _let_form_leave(page, settings.github_url)
        return page


def _of_person(request: Request) -> Response:
    """GitHub sends here who installed the App; it says where, but not in a way that can be believed."""
    number = request.query_params.get("installation_id", "")
    if number.isascii() and number.isdigit() and len(number) < 19:
        return _to(f"/sign-in/github?installation={number}")
    return _to("/account")


def _let_form_leave(page: Response, github_url: str) -> None:
    """Let the page's form be sent to GitHub; with an origin, which GitHub checks."""
    parts = urlsplit(github_url)
    allowed = f"form-action 'self' {parts.scheme}://{parts.netloc};"
    policy = HEADERS["Content-Security-Policy"].replace("form-action 'self';", allowed)
    page.headers["Content-Security-Policy"] = policy
    page.headers["Referrer-Policy"] = "strict-origin-when-cross-origin"


def _to(path: str) -> Response:
    return RedirectResponse(path, 303, headers={"Cache-Control": "no-store"})
