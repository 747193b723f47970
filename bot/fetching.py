"""Asks other servers for JSON, with an end to how long it takes, how much it is and where it goes."""

import json
import time
from collections.abc import Mapping
from http.client import HTTPException, HTTPResponse
from typing import Any
from urllib.error import HTTPError
from urllib.parse import urlencode
from urllib.request import (
    HTTPDefaultErrorHandler,
    HTTPErrorProcessor,
    HTTPHandler,
    HTTPSHandler,
    OpenerDirector,
    ProxyHandler,
    Request,
)

SECONDS = 5.0
MAX_BYTES = 1024 * 1024
_PIECE = 64 * 1024


class FetchError(Exception):
    """There was no answer that could be used; the text says why, without what was sent."""


def fetch(
    url: str,
    *,
    form: Mapping[str, str] | None = None,
    headers: Mapping[str, str] | None = None,
    seconds: float = SECONDS,
) -> Any:
    """Ask for JSON, by GET or with a form by POST. Raises `FetchError`.

    Redirects are not followed: whoever may redirect could send a secret elsewhere.
    """
    data = urlencode(form).encode() if form is not None else None
    sent = {"Accept": "application/json", "User-Agent": "slipway", **(headers or {})}
    until = time.monotonic() + seconds
    host = url.partition("://")[2].partition("/")[0]
    try:
        with _opener().open(Request(url, data, sent), timeout=seconds) as answer:  # noqa: S310 http(s) alone
            return json.loads(_read(answer, until))
    except HTTPError as error:
        with error:
            raise FetchError(f"{host} answered {error.code}") from None
    except (OSError, HTTPException) as error:
        raise FetchError(f"{host} does not answer: {_reason(error)}") from None
    except (ValueError, RecursionError):
        raise FetchError(f"{host} did not answer with JSON") from None


def _read(answer: HTTPResponse, until: float) -> bytes:
    body = b""
    while piece := answer.read1(_PIECE):
        body += piece
        if len(body) > MAX_BYTES:
            raise OSError("the answer is too long")
        if time.monotonic() > until:
            raise TimeoutError("the answer takes too long")
    return body


def _opener() -> OpenerDirector:
    # Not the usual one: that follows redirects, and opens files.
    opener = OpenerDirector()
    for handler in (ProxyHandler, HTTPHandler, HTTPSHandler, HTTPDefaultErrorHandler, HTTPErrorProcessor):
        opener.add_handler(handler())
    return opener


def _reason(error: OSError | HTTPException) -> str:
    return str(getattr(error, "reason", None) or error or type(error).__name__)
