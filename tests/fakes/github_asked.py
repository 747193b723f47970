"""A request to the fake GitHub, and its answer."""

import json
from dataclasses import dataclass
from typing import Any

from tests.fakes.github_state import Refusal


@dataclass
class Asked:
    """A request, taken apart."""

    method: str
    path: str
    query: dict[str, str]
    authorization: str
    raw: bytes

    @property
    def body(self) -> dict[str, Any]:
        try:
            value = json.loads(self.raw or b"{}")
        except ValueError:
            raise Refusal(400, "Problems parsing JSON") from None
        if not isinstance(value, dict):
            raise Refusal(400, "Body should be a JSON object")
        return value  # pyright: ignore[reportUnknownVariableType]


@dataclass
class Reply:
    status: int
    body: Any = None
    headers: dict[str, str] | None = None
