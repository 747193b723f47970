"""`GET /api/v1/audit/export`: the audit log as lines of JSON or CSV, read and sent in portions."""

import csv
import io
from collections.abc import Callable, Iterator

import msgspec
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse
from starlette.types import Receive, Scope, Send

from bot.api.audit import AuditView, ExportQuery, view, wanted
from bot.api.envelope import failure
from bot.api.operation import Call, plain
from bot.api.reading import parameters, request_id_of
from bot.api.refusals import RefusalError
from bot.store import audit_pages, pages
from bot.store.audit_pages import AuditFilter
from bot.store.engine import Engine, reading

_PORTION = 500
_COLUMNS = [field.alias or name for name, field in AuditView.model_fields.items()]
# What a table program would take for a formula (OWASP, CSV injection).
_FORMULA = ("=", "+", "-", "@", "\t", "\r")


class AuditExport:
    """The endpoint. `admit` raises `RefusalError` unless the caller may; it blocks."""

    def __init__(self, engine: Engine, admit: Callable[[Request], Call]) -> None:
        self._engine = engine
        self._admit = admit

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        request = Request(scope, receive)
        try:
            asked, which = await run_in_threadpool(self._asked, request)
        except RefusalError as refusal:
            response: Response = failure(refusal, request_id=request_id_of(request))
        else:
            is_csv = asked.format == "csv"
            media = "text/csv" if is_csv else "application/x-ndjson"
            name = f'attachment; filename="audit.{asked.format}"'
            headers = {
                "Content-Disposition": name,
                "Cache-Control": "no-store",
                "X-Request-ID": request_id_of(request),
            }
            lines = self._lines(which, _csv if is_csv else _json)
            response = StreamingResponse(lines, media_type=media, headers=headers)
        await response(scope, receive, send)

    def _asked(self, request: Request) -> tuple[ExportQuery, AuditFilter]:
        call = self._admit(request)
        asked = parameters(request, ExportQuery)
        assert isinstance(asked, ExportQuery)
        with reading(self._engine) as tx:
            call.tx = tx
            return asked, wanted(call, asked)

    def _lines(self, which: AuditFilter, write: Callable[[list[AuditView]], str]) -> Iterator[str]:
        if write is _csv:
            yield _row(_COLUMNS)
        after = 0
        while portion := self._portion(which, after):
            yield write(portion)
            after = portion[-1].id

    def _portion(self, which: AuditFilter, after: int) -> list[AuditView]:
        # A transaction each: whoever reads slowly must not keep SQLite's log of writes from being cut.
        with reading(self._engine) as tx:
            rows = audit_pages.portion(tx, which, after=after, limit=_PORTION)
            slugs = pages.slugs(tx, sorted({one.act.app_id for one in rows if one.act.app_id is not None}))
        return [view(row, slugs) for row in rows]


def _json(views: list[AuditView]) -> str:
    return "".join(msgspec.json.encode(plain(one)).decode() + "\n" for one in views)


def _csv(views: list[AuditView]) -> str:
    return "".join(_row([_cell(value) for value in plain(one).values()]) for one in views)


def _cell(value: object) -> str:
    text = "" if value is None else value if isinstance(value, str) else msgspec.json.encode(value).decode()
    return f"'{text}" if text.startswith(_FORMULA) else text


def _row(cells: list[str]) -> str:
    line = io.StringIO()
    csv.writer(line).writerow(cells)
    return line.getvalue()
