"""The way of every request: who, how often, about what, may they, is it well formed; then it is done."""

import hashlib
import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any, Protocol

import msgspec
from redis.exceptions import RedisError
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response
from structlog.contextvars import bound_contextvars

from bot.api import reading as incoming
from bot.api.acts import act_of
from bot.api.auth import Gate
from bot.api.envelope import PaginationMeta, bare, failure, success
from bot.api.lane import Lane
from bot.api.locate import locate
from bot.api.operation import Call, Operation, Page, Paging, Services, packed
from bot.api.rates import Limiter
from bot.api.refusals import Code, RefusalError, conflict, refusal_of
from bot.api.visitors import wanted_org
from bot.domain.deployment import ImpossibleMoveError
from bot.domain.roles import Principal
from bot.errors import SlipwayError
from bot.lifecycle import Change
from bot.log import logger
from bot.store import replays
from bot.store.engine import StoreError, Tx, reading
from bot.store.replays import Replay


@dataclass
class Exchange:
    """One request and what its answer will carry."""

    request: Request
    operation: Operation
    request_id: str
    body: bytes
    headers: dict[str, str] = field(default_factory=dict[str, str])
    caller: str = "nobody"

    @property
    def fingerprint(self) -> bytes:
        """What tells this request from another one with the same key."""
        url = self.request.url
        parts = (self.request.method.encode(), url.path.encode(), url.query.encode(), self.body)
        return hashlib.sha256(msgspec.json.encode([part.hex() for part in parts])).digest()


@dataclass(frozen=True)
class Result:
    """What an operation made, as JSON holds it."""

    status: int
    data: Any
    pagination: PaginationMeta | None = None


class Admission(Protocol):
    """Raises `RefusalError` unless a caller may; else lets `look` see the call."""

    def __call__(self, request: Request, look: Callable[[Call], object] = ...) -> Call:
        """Admit, or refuse; what the request is about."""
        ...


class Dispatcher:
    """Carries out operations."""

    def __init__(self, services: Services, gate: Gate, limiter: Limiter) -> None:
        self._services = services
        self._gate = gate
        self._limiter = limiter
        self._readers = Lane()

    def admission(self, operation: Operation) -> Admission:
        """What raises `RefusalError` unless a caller may read what streams, and lets the call be looked at.

        Such requests are not counted.
        """

        def admit(request: Request, look: Callable[[Call], object] = lambda _: None) -> Call:
            with reading(self._services.lifecycle.engine) as tx:
                principal = self._gate.identify(request, tx)
                call = Call(self._services, principal, tx, _path_of(request))
                locate(call, operation)
                look(call)
                return call

        return admit

    async def answer(self, request: Request, operation: Operation | None, methods: list[str]) -> Response:
        """Carry out one request; without an operation its method is none of those that are possible."""
        request_id = incoming.request_id_of(request)
        with bound_contextvars(request_id=request_id):
            try:
                if operation is None:
                    raise _not_allowed(request.method, methods)
                body = await incoming.body_of(request)
            except RefusalError as refusal:
                return failure(refusal, request_id=request_id)
            exchange = Exchange(request, operation, request_id, body)
            began = time.monotonic()
            response = await self._in_thread(exchange)
            response.headers.update(exchange.headers)
            if operation.writes or response.status_code >= 500:
                taken = round((time.monotonic() - began) * 1000)
                told = {"status": response.status_code, "caller": exchange.caller, "ms": taken}
                logger.info("api", operation=operation.id, path=request.url.path, **told)
            return response

    async def _in_thread(self, exchange: Exchange) -> Response:
        # Changes wait for each other, and reading waits for none of them.
        if exchange.operation.writes:
            return await run_in_threadpool(self._exchange, exchange)
        return await self._readers.run(self._exchange, exchange)

    def _exchange(self, exchange: Exchange) -> Response:
        try:
            result = self._carry_out(exchange)
        except RefusalError as refusal:
            return failure(refusal, request_id=exchange.request_id)
        except (SlipwayError, ImpossibleMoveError) as error:
            return failure(refusal_of(error), request_id=exchange.request_id)
        except (StoreError, RedisError) as error:
            logger.error("the API could not answer", path=exchange.request.url.path, error=repr(error))
            message = "The store or the queue does not answer. Nothing was changed; try again in a moment."
            refusal = RefusalError(503, Code.NOT_NOW, message, headers={"Retry-After": "2"})
            return failure(refusal, request_id=exchange.request_id)
        except Exception as error:  # noqa: BLE001 whatever it is, the caller gets an answer
            logger.error("the API failed", path=exchange.request.url.path, exc_info=error)
            message = f"Slipway ran into an error of its own. Its log has it under {exchange.request_id}."
            return failure(RefusalError(500, Code.UNEXPECTED, message), request_id=exchange.request_id)
        if exchange.operation.bare:
            return bare(result.data, request_id=exchange.request_id, status=result.status)
        return success(
            result.data, request_id=exchange.request_id, status=result.status, pagination=result.pagination
        )

    def _carry_out(self, exchange: Exchange) -> Result:
        if not exchange.operation.writes:
            with reading(self._services.lifecycle.engine) as tx:
                principal = self._admit(exchange, tx)
                return self._result(exchange, self._call(exchange, principal, tx))
        principal = self._admit(exchange, None)
        with self._services.lifecycle.change() as change:
            call = self._call(exchange, principal, change.tx)
            call.change = change
            result = self._once(exchange, call, change)
        return result if call.finish is None else replace(result, data=packed(call.finish()))

    def _admit(self, exchange: Exchange, tx: Tx | None) -> Principal:
        principal = self._gate.identify(exchange.request, tx)
        exchange.caller = principal.key
        exchange.headers.update(self._limiter.take(principal).headers)
        return principal

    def _audited(self, exchange: Exchange, call: Call, change: Change) -> Result:
        result = self._result(exchange, call)
        request = exchange.request
        address = request.client.host if request.client else ""
        origin = f"{address} {exchange.request_id}".strip()
        change.record(act_of(call, exchange.operation, origin=origin, path=request.url.path))
        return result

    def _call(self, exchange: Exchange, principal: Principal, tx: Tx) -> Call:
        call = Call(self._services, principal, tx, _path_of(exchange.request))
        locate(call, exchange.operation)
        return call

    def _result(self, exchange: Exchange, call: Call) -> Result:
        operation = exchange.operation
        call.query = incoming.parameters(exchange.request, operation.query)
        if operation.body is not None:
            call.body = incoming.content(exchange.request, exchange.body, operation.body)
        made = operation.handle(call)
        if isinstance(made, Page):
            assert isinstance(call.query, Paging)
            rows = [packed(row) for row in made.rows]
            return Result(operation.status, rows, _pagination(call.query, made))
        return Result(operation.status, packed(made))

    def _once(self, exchange: Exchange, call: Call, change: Change) -> Result:
        """Do it; or, when the caller sent this request before, answer what was answered then."""
        key = incoming.idempotency_key(exchange.request) if exchange.operation.method == "POST" else None
        if key is None:
            return self._audited(exchange, call, change)
        caller = call.principal.key
        before = replays.find(change.tx, caller, key, change.now)
        if before is not None:
            if before.fingerprint != exchange.fingerprint:
                message = "This Idempotency-Key was used for another request. Use a new one for each request."
                raise RefusalError(422, Code.KEY_REUSED, message)
            exchange.headers["Idempotency-Replayed"] = "true"
            return Result(before.status, msgspec.json.decode(self._services.vault.open(before.answer)))
        result = self._audited(exchange, call, change)
        if call.finish is not None:
            # What came of it is known later; who was answered no by then must be able to try again.
            return result
        sealed = self._services.vault.seal(msgspec.json.encode(result.data))
        try:
            made = Replay(exchange.fingerprint, result.status, sealed)
            replays.keep(change.tx, caller, key, made, now=change.now)
        except StoreError as error:
            raise conflict(Code.CONFLICT, "The same request is being carried out. Send it again.") from error
        return result


def _path_of(request: Request) -> dict[str, str]:
    """What a path names; an organisation that a header names counts as if it stood in the path."""
    org = wanted_org(request)
    return {**request.path_params, **({"org": org} if org is not None else {})}


def _pagination(asked: Paging, made: Page) -> PaginationMeta:
    pages = -(-made.total // asked.page_size)
    return PaginationMeta(
        page=asked.page,
        page_size=asked.page_size,
        total_items=made.total,
        total_pages=pages,
        has_next=asked.page < pages,
        has_previous=asked.page > 1,
    )


def _not_allowed(method: str, allowed: list[str]) -> RefusalError:
    listed = ", ".join(allowed)
    message = f"{method} is not possible here, but {listed}."
    return RefusalError(405, Code.METHOD_NOT_ALLOWED, message, headers={"Allow": listed})
