"""JSON answers of the web process outside its API: what is wrong has a stable code and a message."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import msgspec
from starlette.responses import Response
from starlette.types import Send


@dataclass(frozen=True)
class Answer:
    """A status, a JSON object and additional headers."""

    status: int
    content: Mapping[str, Any]
    headers: tuple[tuple[bytes, bytes], ...] = field(default=())

    async def send(self, send: Send) -> None:
        """Send it as a whole ASGI response."""
        body = msgspec.json.encode(self.content)
        headers = [
            (b"content-type", b"application/json"),
            (b"content-length", b"%d" % len(body)),
            *self.headers,
        ]
        await send({"type": "http.response.start", "status": self.status, "headers": headers})
        await send({"type": "http.response.body", "body": body})

    def response(self) -> Response:
        """The same for Starlette."""
        headers = {name.decode(): value.decode() for name, value in self.headers}
        content = msgspec.json.encode(self.content)
        return Response(content, self.status, headers, media_type="application/json")


def refusal(
    status: int,
    code: str,
    message: str,
    *,
    detail: str | None = None,
    headers: Mapping[str, str] | None = None,
) -> Answer:
    """An answer that says what is wrong: `{"code", "message", "detail"?}`."""
    content = {"code": code, "message": message}
    if detail is not None:
        content["detail"] = detail
    rows = tuple((name.lower().encode(), value.encode()) for name, value in (headers or {}).items())
    return Answer(status, content, rows)
