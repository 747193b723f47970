"""Carries out the API's operations for who looks at a page: by the same rights, checks and audit log."""

from collections.abc import Mapping
from typing import Any

import msgspec
from pydantic import ValidationError
from redis.exceptions import RedisError

from bot.api.acts import act_of
from bot.api.envelope import Model
from bot.api.locate import locate
from bot.api.operation import Call, Operation, Services
from bot.api.problems import problems_of
from bot.api.rates import Limiter
from bot.api.reading import NoParameters
from bot.api.refusals import Code, RefusalError, invalid, refusal_of
from bot.api.routes import OPERATIONS, PREFIX
from bot.console.visitor import visitor
from bot.domain.deployment import ImpossibleMoveError
from bot.errors import SlipwayError
from bot.lifecycle import Change
from bot.log import logger
from bot.store.engine import StoreError, Tx, reading

Path = Mapping[str, str]
Fields = Mapping[str, Any]


class Clerk:
    """Asks for operations by their ids. All that it refuses is a `RefusalError`."""

    def __init__(self, services: Services, limiter: Limiter) -> None:
        self._services = services
        self._limiter = limiter
        self._operations = {one.id: one for one in OPERATIONS}

    def read(self, name: str, path: Path, query: Fields | None = None) -> Any:
        """What an operation that reads answers: a model, or a `Page` of them."""
        operation = self._operations[name]
        assert not operation.writes
        with reading(self._services.lifecycle.engine) as tx:
            call = self._call(operation, path, tx)
            call.query = _fitting(operation.query or NoParameters, query or {})
            return operation.handle(call)

    def do(self, name: str, path: Path, body: Fields, *, origin: str) -> Any:
        """Carry out an operation that changes something. `origin` is the address that it is asked from."""
        try:
            self._limiter.take(visitor().principal)
            with self._services.lifecycle.change() as change:
                call, made = self._carry_out(self._operations[name], path, body, change=change, origin=origin)
            return made if call.finish is None else call.finish()
        except (SlipwayError, ImpossibleMoveError) as error:
            raise refusal_of(error) from error
        except (StoreError, RedisError) as error:
            logger.error("a form could not be carried out", operation=name, error=repr(error))
            message = "The store or the queue does not answer. Nothing was changed; try again in a moment."
            raise RefusalError(503, Code.NOT_NOW, message) from error

    def _carry_out(
        self, operation: Operation, path: Path, body: Fields, *, change: Change, origin: str
    ) -> tuple[Call, Any]:
        assert operation.writes
        call = self._call(operation, path, change.tx)
        call.change = change
        if operation.body is not None:
            call.body = _strict(operation.body, body)
        made = operation.handle(call)
        address = PREFIX + operation.path.format(**path)
        change.record(act_of(call, operation, origin=f"{origin} console".strip(), path=address))
        return call, made

    def _call(self, operation: Operation, path: Path, tx: Tx) -> Call:
        call = Call(self._services, visitor().principal, tx, path)
        locate(call, operation)
        return call


def _fitting(kind: type[Model], query: Fields) -> Model:
    try:
        return kind.model_validate(query)
    except ValidationError as error:
        raise invalid(*problems_of(error, kind)) from error


def _strict(kind: type[Model], body: Fields) -> Model:
    try:
        # As JSON, so that a form is taken for what the API would take it for.
        return kind.model_validate_json(msgspec.json.encode(body), strict=True)
    except ValidationError as error:
        raise invalid(*problems_of(error, kind)) from error
