"""Turns templates into pages: one environment, one layout, one set of headers."""

import base64
import hashlib
from collections.abc import Mapping
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, cast

from jinja2 import Environment, FileSystemLoader, StrictUndefined, pass_context
from jinja2.runtime import Context
from markupsafe import Markup
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import HTMLResponse, Response

from bot import wording
from bot.api.refusals import RefusalError
from bot.clock import Clock, utc_now
from bot.console.notice import notice
from bot.console.visitor import visitor_or_none
from bot.domain.ids import reference
from bot.domain.roles import Verb
from bot.settings import Settings
from bot.store.engine import StoreError

FOLDER = Path(__file__).resolve().parents[2] / "templates" / "page"
ASSETS = {
    "console.css": "text/css",
    "console.js": "text/javascript",
    "sign-in.js": "text/javascript",
    "icon.svg": "image/svg+xml",
}
HEADERS = {
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; "
        "form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
    ),
    "X-Content-Type-Options": "nosniff",
    # Not 'no-referrer': with it a browser sends 'Origin: null' with the sign-in form.
    "Referrer-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cache-Control": "no-store",
}
_PROBLEMS = {
    404: (
        "Nothing here",
        "There is no such page. It may be gone, or the address has a slip in it.",
    ),
    403: ("Not allowed", "The form did not come from this site. Open the page again and retry."),
    405: ("Not possible", "This address can't be used in that way."),
    503: ("Not now", "A part of Slipway does not answer. Try again in a moment."),
}
_UNEXPECTED = (
    "That went wrong",
    "Slipway ran into an error of its own. The web process's log has it.",
)


class Pages:
    """Renders the templates of `templates/page`."""

    def __init__(self, settings: Settings, *, clock: Clock = utc_now) -> None:
        self.settings = settings
        self.assets = {name: Asset(FOLDER / name, kind) for name, kind in ASSETS.items()}
        self._clock = clock
        self._environment = Environment(
            loader=FileSystemLoader(FOLDER),
            autoescape=True,
            undefined=StrictUndefined,
            trim_blocks=True,
            lstrip_blocks=True,
            auto_reload=False,
        )
        filters = {
            "ago": _ago,
            "ahead": _ahead,
            "duration": wording.duration,
            "seconds": _seconds,
            "size": wording.size,
            "first_line": wording.first_line,
            "clean": wording.clean,
            "iso": _iso,
            "reference": reference,
        }
        cast("dict[str, Any]", self._environment.filters).update(filters)
        shared: dict[str, Any] = {"visitor": visitor_or_none, "form_token": _form_token, "notice": notice}
        shared |= {"may": _may}
        shared |= {"assets": self.assets, "site_url": settings.site_url, "commit_url": self.commit_url}
        cast("dict[str, Any]", self._environment.globals).update(shared)

    def show(self, name: str, /, *, status: int = 200, **facts: Any) -> HTMLResponse:
        """A page."""
        text = self._environment.get_template(name).render(facts, now=self._clock())
        return HTMLResponse(text, status, headers=HEADERS)

    def problem(self, status: int, *, headers: Mapping[str, str] | None = None) -> HTMLResponse:
        """The page for an error of HTTP."""
        title, advice = _PROBLEMS.get(status, _UNEXPECTED)
        page = self.show("problem.html", status=status, code=status, title=title, advice=advice)
        page.headers.update(headers or {})
        return page

    def refused(self, refusal: RefusalError) -> HTMLResponse:
        """The page for a request that the API's rules refuse."""
        title = _PROBLEMS.get(refusal.status, ("That is not possible", ""))[0]
        advice = _PROBLEMS[404][1] if refusal.status == 404 else refusal.message
        facts = {"code": refusal.status, "title": title, "advice": advice}
        return self.show("problem.html", status=refusal.status, **facts)

    async def on_error(self, _request: Request, error: Exception) -> Response:
        """The answer to an exception, for Starlette's `exception_handlers`."""
        if isinstance(error, HTTPException):
            return self.problem(error.status_code, headers=error.headers)
        if isinstance(error, StoreError):
            return self.problem(503, headers={"Retry-After": "2"})
        return self.problem(500)

    def commit_url(self, clone_url: str, repository: str, sha: str) -> str | None:
        """A commit's page on GitHub; None for repositories that are elsewhere."""
        if not clone_url.startswith(f"{self.settings.github_url}/"):
            return None
        return f"{self.settings.github_url}/{repository}/commit/{sha}"


class Asset:
    """A file that pages refer to; its address changes with its content, so it is cached for good."""

    def __init__(self, path: Path, kind: str) -> None:
        content = path.read_bytes()
        digest = hashlib.sha384(content).digest()
        self.integrity = f"sha384-{base64.b64encode(digest).decode()}"
        self.tag = digest.hex()[:12]
        self.url = f"/assets/{self.tag}/{path.name}"
        self._content = content
        self._kind = kind

    def response(self) -> Response:
        """The file itself."""
        headers = {
            "Cache-Control": "public, max-age=31536000, immutable",
            "X-Content-Type-Options": "nosniff",
        }
        return Response(self._content, media_type=self._kind, headers=headers)


@pass_context
def _ago(context: Context, moment: datetime) -> str:
    return wording.ago(moment, context["now"])


def _seconds(count: float) -> str:
    return wording.duration(timedelta(seconds=count))


@pass_context
def _ahead(context: Context, moment: datetime) -> str:
    left = moment - context["now"]
    return wording.ahead(left) if left.total_seconds() > 0 else "over"


def _may(verb: str) -> bool:
    """Whether who looks has a right; what they may not do, pages do not offer."""
    who = visitor_or_none()
    return who is not None and who.may(Verb(verb))


def _form_token() -> Markup:
    """The field by which a form shows that it is of a page that was made for the visitor's session."""
    who = visitor_or_none()
    field = Markup('<input type="hidden" name="token" value="{}">')
    return field.format(who.form_token) if who is not None else Markup()


def _iso(moment: datetime) -> str:
    return moment.isoformat(timespec="seconds").replace("+00:00", "Z")
