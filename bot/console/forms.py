"""Forms that pages of the console send."""

from urllib.parse import parse_qs

from starlette.requests import Request

MAX_FORM = 4096
"""Bytes of the longest form that is read."""


async def read_form(request: Request) -> dict[str, str]:
    """The first value of each field; empty for a form that is too long."""
    body = b""
    async for chunk in request.stream():
        body += chunk
        if len(body) > MAX_FORM:
            return {}
    fields = parse_qs(body.decode("utf-8", "replace"))
    return {name: values[0] for name, values in fields.items()}
