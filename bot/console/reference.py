"""`/api/docs`: the API's reference, made from its OpenAPI document without any script."""

from collections.abc import Callable
from typing import Any

from markdown_it import MarkdownIt
from markupsafe import Markup
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response

from bot.console.pages import Pages

_MARKDOWN = MarkdownIt("zero", {"html": False}).enable(["backticks", "emphasis", "list", "escape"])
_SCOPED = ("OfApp", "InProject", "InOrg")


class Reference:
    """Shows a document. Everybody may read it: it is the same for all."""

    def __init__(self, pages: Pages, document: Callable[[], dict[str, Any]]) -> None:
        self._pages = pages
        self._document = document

    async def show(self, _request: Request) -> Response:
        """The page."""
        return await run_in_threadpool(self._page)

    def _page(self) -> Response:
        document = self._document()
        groups: dict[str, list[dict[str, Any]]] = {tag["name"]: [] for tag in document["tags"]}
        for path, methods in document["paths"].items():
            for method, operation in methods.items():
                # The same operation with its scope written out is told of once, at the top.
                if not operation["operationId"].endswith(_SCOPED):
                    groups[operation["tags"][0]].append({"method": method.upper(), "path": path, **operation})
        info, schemas = document["info"], document["components"]["schemas"]
        shared = document["components"]["responses"]
        return self._pages.show(
            "api.html", info=info, groups=groups, schemas=schemas, shared=shared, prose=prose, inline=inline
        )


def prose(text: str) -> Markup:
    """Markdown of ours as HTML."""
    return Markup(_MARKDOWN.render(text))  # noqa: S704 markdown-it escapes what it was given


def inline(text: str) -> Markup:
    """The same of a sentence, which becomes no paragraph."""
    return Markup(_MARKDOWN.renderInline(text))  # noqa: S704 markdown-it escapes what it was given
