"""A client of the REST API: addresses, retries, pages, streams, and what a refusal says."""

import json
import ssl
import sys
import time
import uuid
from collections.abc import Iterator
from typing import Any, Self
from urllib.parse import quote

import httpx

from bot.cli.client.place import Place
from bot.cli.client.stream import events
from bot.errors import ErrorCode, PlatformError, UserError

_TIMEOUT = httpx.Timeout(30, connect=5)
_AWAY = {502, 503, 504}
_PAUSES = (0.2, 0.8, 2.0)
_LONGEST_PAUSE = 10.0
_PAGE = 100
QUIET_SECONDS, STILL_SECONDS = 2.0, 45.0
"""Seconds without news that are told while a deployment waits, and that end a stream otherwise."""
_AWAY_SECONDS = 60.0
"""How long a stream is looked for again after it broke: a restart of the web process takes seconds."""
_WAITING = (None, "held", "queued")
Row = dict[str, Any]


def at(*parts: str | int) -> str:
    """An address below the API's base, of parts that are escaped."""
    return "/" + "/".join(quote(str(part), safe="") for part in parts)


def environment_at(app: str, name: str) -> str:
    """The address of an app's environment. Previews are named without their slash: proxies may decode it."""
    return at("apps", app, "environments", name.removeprefix("preview/"))


def known(**words: Any) -> Row:
    """A body without what nobody said."""
    return {name: value for name, value in words.items() if value is not None}


class Client:
    """Calls one instance. With `as_json` a refusal is printed as JSON, too, before it is raised.

    Every call raises `UserError` for what the instance refuses, `PlatformError` WEB_AWAY when none answers.
    """

    def __init__(self, place: Place, *, as_json: bool = False) -> None:
        self.place = place
        self._as_json = as_json
        # Certificates of private authorities are found as by other programs: SSL_CERT_FILE, the system's.
        verify = ssl.create_default_context() if place.url.startswith("https:") else False
        headers = {"Authorization": f"Bearer {place.token}", "Accept": "application/json"}
        self._http = httpx.Client(
            base_url=f"{place.url}/api/v1", headers=headers, timeout=_TIMEOUT, verify=verify, trust_env=False
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._http.close()

    def get(self, path: str, **query: Any) -> Any:
        """The `data` of an answer. Parameters that are None are left out."""
        return self._call("GET", path, query=query)["data"]

    def rows(self, path: str, *, most: int = 1000, **query: Any) -> list[Row]:
        """The rows of a list, page by page, at most so many."""
        found: list[Row] = []
        page, size = 1, min(most, _PAGE)
        while True:
            answer = self._call("GET", path, query={**query, "page": page, "pageSize": size})
            found += answer["data"]
            if len(found) >= most or not answer["meta"]["pagination"]["hasNext"]:
                return found[:most]
            page += 1

    def post(self, path: str, body: Row | None = None) -> Any:
        """The `data` of an answer. A call that is repeated after a break is carried out once."""
        return self._call("POST", path, body=body or {}, key=str(uuid.uuid4()))["data"]

    def patch(self, path: str, body: Row) -> Any:
        """The `data` of an answer."""
        return self._call("PATCH", path, body=body)["data"]

    def delete(self, path: str) -> Any:
        """Delete what is there; the `data` of the answer."""
        return self._call("DELETE", path)["data"]

    def text(self, path: str, **query: Any) -> Iterator[str]:
        """The text of an answer that is no JSON, part by part."""
        try:
            with self._http.stream("GET", path, params=query, headers={"Accept": "*/*"}) as answer:
                if answer.status_code != 200:
                    answer.read()
                    self._refuse(answer)
                yield from answer.iter_text()
        except httpx.TransportError as error:
            raise self._away() from error

    def follow(self, reference: str, after: int = 0) -> Iterator[Row]:
        """A deployment's events, through breaks, until `done`; of its log each line behind `after` once.

        Gives `{"type": "quiet"}` while a deployment waits and nothing is told.
        """
        last, state, gone_at = after, None, None
        while True:
            quiet = QUIET_SECONDS if state in _WAITING else STILL_SECONDS
            try:
                for event in self._stream(at("deployments", reference, "stream"), last, quiet):
                    gone_at = None
                    if event["type"] == "log":
                        if event["n"] <= last:
                            continue
                        last = event["n"]
                    state = event.get("status", state)
                    yield event
                    if event["type"] == "done":
                        return
            except httpx.ReadTimeout:
                yield {"type": "quiet"}
                continue
            except httpx.TransportError as error:
                if gone_at is not None and time.monotonic() - gone_at > _AWAY_SECONDS:
                    raise self._away() from error
            gone_at = gone_at or time.monotonic()
            time.sleep(_PAUSES[0])

    def _stream(self, path: str, after: int, quiet: float) -> Iterator[Row]:
        headers = {"Accept": "text/event-stream", "Last-Event-ID": str(after)}
        timeout = httpx.Timeout(30, connect=5, read=quiet)
        with self._http.stream("GET", path, headers=headers, timeout=timeout) as answer:
            if answer.status_code in _AWAY:
                return
            if answer.status_code != 200:
                answer.read()
                self._refuse(answer)
            yield from events(answer.iter_raw())

    def _call(
        self, method: str, path: str, *, body: Row | None = None, key: str = "", query: Row | None = None
    ) -> Row:
        request = self._http.build_request(
            method,
            path,
            json=body,
            params={name: value for name, value in (query or {}).items() if value is not None},
            headers={"Idempotency-Key": key} if key else None,
        )
        answer = self._send(request, may_repeat=bool(key) or method in ("GET", "PUT"))
        if not answer.is_success:
            self._refuse(answer)
        if answer.status_code == 204:
            return {"data": None}
        try:
            return answer.json()
        except ValueError as error:
            raise self._away() from error

    def _send(self, request: httpx.Request, *, may_repeat: bool) -> httpx.Response:
        for pause in (*_PAUSES, None):
            try:
                answer = self._http.send(request)
            except httpx.TransportError as error:
                # Where not even a connection was made, nothing was asked for.
                if pause is None or not (may_repeat or isinstance(error, httpx.ConnectError)):
                    raise self._away() from error
                if isinstance(error, httpx.ConnectError) and self.place.home is not None:
                    raise self._away() from error
                time.sleep(pause)
                continue
            if pause is None or not may_repeat or answer.status_code not in {*_AWAY, 429}:
                return answer
            wait = _asked_pause(answer, pause)
            if wait > _LONGEST_PAUSE:
                return answer
            time.sleep(wait)
        raise self._away()

    def _away(self) -> PlatformError:
        if self._as_json:
            _print_error(
                {"code": ErrorCode.WEB_AWAY.value, "message": f"Nothing answers at {self.place.url}."}
            )
        return PlatformError(ErrorCode.WEB_AWAY, url=self.place.url, advice=self.place.advice)

    def _refuse(self, answer: httpx.Response) -> None:
        error = _error_of(answer)
        if self._as_json:
            _print_error(error)
        problems = [f"{one['field']}: {one['message']}" for one in error.get("validationErrors") or ()]
        # One problem is the message.
        several = "\n".join(problems) if len(problems) > 1 else ""
        facts = {"refusal": error["code"], "message": error["message"], "url": self.place.url}
        match answer.status_code:
            case 401:
                raise UserError(ErrorCode.API_UNKNOWN_CALLER, **facts)
            case 403:
                raise UserError(ErrorCode.API_FORBIDDEN, **facts)
            case _:
                raise UserError(ErrorCode.API_REFUSED, **facts, problems=several)


def _error_of(answer: httpx.Response) -> Row:
    """What an answer says is wrong: ours, or somebody else's that stands between."""
    try:
        error = answer.json()["error"]
        return {"code": str(error["code"]), "message": str(error["message"]), **error}
    except (ValueError, KeyError, TypeError):
        what = (
            f"{answer.url.host} answered {answer.status_code} {answer.reason_phrase}, which is not Slipway's."
        )
        return {"code": f"http-{answer.status_code}", "message": what}


def _asked_pause(answer: httpx.Response, otherwise: float) -> float:
    asked = answer.headers.get("Retry-After", "")
    return float(asked) if asked.isascii() and asked.isdigit() else otherwise


def _print_error(error: Row) -> None:
    sys.stdout.write(json.dumps({"error": error}) + "\n")
