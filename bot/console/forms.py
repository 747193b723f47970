"""Forms that pages of the console send."""

from collections.abc import Mapping
from urllib.parse import parse_qs

from starlette.requests import Request

MAX_FORM = 4096
"""Bytes of the longest form that is read of somebody who is not signed in."""
MAX_OWN_FORM = 1024 * 1024
"""The same of who is: variables are long."""
_FIELDS = 1000


class Form(dict[str, str]):
    """The first value of each field; `every` has all of them."""

    def __init__(self, fields: Mapping[str, list[str]]) -> None:
        super().__init__({name: values[0] for name, values in fields.items()})
        self.every = fields

    def text(self, name: str) -> str | None:
        """A field without the blanks around it; None when it is empty."""
        return self.get(name, "").strip() or None


async def read_form(request: Request, most: int = MAX_FORM) -> Form:
    """A form; empty when it is too long. It can be read more than once."""
    if not hasattr(request.state, "form"):
        request.state.form = await _read(request, most)
    form: Form = request.state.form
    return form


async def _read(request: Request, most: int) -> Form:
    body = b""
    async for chunk in request.stream():
        body += chunk
        if len(body) > most:
            return Form({})
    try:
        return Form(parse_qs(body.decode("utf-8", "replace"), max_num_fields=_FIELDS))
    except ValueError:
        return Form({})
