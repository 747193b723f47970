"""Every operation of the API, and where it is."""

from collections.abc import Mapping
from dataclasses import dataclass

from starlette.requests import Request
from starlette.routing import BaseRoute
from starlette.types import ASGIApp, Receive, Scope, Send

from bot.api import (
    account,
    activity,
    approvals,
    apps,
    audit,
    build_config,
    channels,
    compare,
    deliveries,
    deploy_hooks,
    deployments,
    detections,
    domains,
    environments,
    freezes,
    installations,
    invitations,
    mail_test,
    me,
    members,
    orders,
    orgs,
    outgoing,
    previews,
    queue,
    readiness,
    releases,
    repositories,
    share_links,
    variables,
    webhooks,
)
from bot.api.dispatch import Dispatcher
from bot.api.envelope import failure
from bot.api.operation import About, Operation
from bot.api.reading import request_id_of
from bot.api.refusals import Code, RefusalError
from bot.api.tree import Addresses

PREFIX = "/api/v1"
OPERATIONS: tuple[Operation, ...] = (
    # Before the apps: a part of a path that is fixed comes before one that names something.
    *detections.OPERATIONS,
    *apps.OPERATIONS,
    *build_config.OPERATIONS,
    *queue.OPERATIONS,
    *deployments.OPERATIONS,
    *orders.OPERATIONS,
    *approvals.OPERATIONS,
    *compare.OPERATIONS,
    *releases.OPERATIONS,
    *environments.OPERATIONS,
    *freezes.OPERATIONS,
    *readiness.OPERATIONS,
    *domains.OPERATIONS,
    *variables.OPERATIONS,
    *previews.OPERATIONS,
    *share_links.OPERATIONS,
    *deliveries.OPERATIONS,
    *me.OPERATIONS,
    *account.OPERATIONS,
    *orgs.OPERATIONS,
    *members.OPERATIONS,
    *invitations.OPERATIONS,
    *deploy_hooks.OPERATIONS,
    *installations.OPERATIONS,
    *repositories.OPERATIONS,
    *mail_test.OPERATIONS,
    *audit.OPERATIONS,
    *activity.OPERATIONS,
    *outgoing.OPERATIONS,
    *webhooks.OPERATIONS,
    *channels.OPERATIONS,
)
_ORG = "/orgs/{org}"
_PROJECT = f"{_ORG}/projects/{{project}}"


@dataclass(frozen=True)
class Address:
    """Where an operation can be reached. `suffix` tells the ids of the same operation's addresses apart."""

    path: str
    suffix: str


def addresses(operation: Operation) -> list[Address]:
    """Its own path, and the same with its scope written out."""
    path = operation.path
    found = [Address(path, "")]
    if path.startswith("/deployments/{deployment}"):
        found += [
            Address(f"/apps/{{app}}{path}", "OfApp"),
            Address(f"{_PROJECT}/apps/{{app}}{path}", "InProject"),
        ]
    elif path.startswith("/apps"):
        found.append(Address(f"{_PROJECT}{path}", "InProject"))
    elif operation.about is About.TENANT and not path.startswith("/orgs"):
        found.append(Address(f"{_ORG}{path}", "InOrg"))
    return found


def routes(dispatcher: Dispatcher, streams: Mapping[str, ASGIApp]) -> list[BaseRoute]:
    """The way to every address."""
    by_path: dict[str, dict[str, Operation]] = {}
    for operation in OPERATIONS:
        for address in addresses(operation):
            by_path.setdefault(address.path, {})[operation.method] = operation
    return [
        Addresses(
            PREFIX,
            {path: Endpoint(dispatcher, operations, streams) for path, operations in by_path.items()},
        )
    ]


class Unknown:
    """What answers at an address of the API that there is not, whatever the method."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        request = Request(scope, receive)
        message = f"There is nothing at {request.url.path[:200]}. The documentation is at /api/docs."
        refused = RefusalError(404, Code.NOT_FOUND, message)
        await failure(refused, request_id=request_id_of(request))(scope, receive, send)


class Endpoint:
    """What answers at one address: operations by method; those that stream have applications of their own."""

    def __init__(
        self, dispatcher: Dispatcher, operations: Mapping[str, Operation], streams: Mapping[str, ASGIApp]
    ) -> None:
        self._dispatcher = dispatcher
        self._operations = operations
        self._streams = streams

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        request = Request(scope, receive)
        operation = self._operations.get("GET" if request.method == "HEAD" else request.method)
        if operation is not None and operation.streams:
            await self._streams[operation.id](scope, receive, send)
            return
        response = await self._dispatcher.answer(request, operation, sorted(self._operations))
        await response(scope, receive, send)
