"""Forms that pages of the console send."""

from urllib.parse import parse_qs

from starlette.requests import Request

MAX_FORM = 4096
"""Bytes of the longest form that is read."""


async def read_form(request: Request) -> dict[str, str]:
    """The first value of each field; empty for a form that is too long. It can be read more than once."""
    if not hasattr(request.state, "form"):
        request.state.form = await _read(request)
    form: dict[str, str] = request.state.form
    return form


async def _read(request: Request) -> dict[str, str]:
    body = b""
    async for chunk in request.stream():
        body += chunk
        if len(body) > MAX_FORM:
            return {}
    fields = parse_qs(body.decode("utf-8", "replace"))
    return {name: values[0] for name, values in fields.items()}
