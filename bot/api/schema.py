"""`GET /schema/slipway.json`: what editors check and complete a slipway.toml by."""

import msgspec
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from bot.intake.recipe_schema import PATH, schema


def routes(url: str) -> list[Route]:
    """The one route, for an instance at that address."""
    content = msgspec.json.encode(schema(url))
    # Editors in browsers ask from elsewhere; there is nothing here that not everybody may read.
    headers = {"Access-Control-Allow-Origin": "*", "Cache-Control": "public, max-age=3600"}

    async def answer(_request: Request) -> Response:
        return Response(content, media_type="application/schema+json", headers=headers)

    return [Route(PATH, answer)]
