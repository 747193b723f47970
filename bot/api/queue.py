"""The queue: what waits and what is worked on, and when it is whose turn."""

from bot.api.deployment_views import DeploymentView, QueueView, view
from bot.api.operation import About, Call, Operation, Page, Paging
from bot.domain.deployment import State
from bot.domain.ids import DeploymentId
from bot.domain.line import Place, line_up
from bot.domain.roles import Verb
from bot.store import line, pages
from bot.store.pages import DeploymentFilter, Shown

_SHOWN: tuple[State, ...] = (State.QUEUED, State.RUNNING, State.CANCELLING)


class QueuedView(DeploymentView):
    """A deployment that waits or runs."""

    queue: QueueView | None
    """Null while it runs, and for those that wait behind a hundred others."""


def places(call: Call) -> dict[DeploymentId, Place]:
    """Whose turn is when."""
    settings = call.services.settings
    found = line.known(call.tx, call.services.clock(), settings.build_concurrency)
    return line_up(found.waiting, found.busy, found.house, found.seconds)


def place_view(found: Place | None) -> QueueView | None:
    """A place as answers show it."""
    if found is None:
        return None
    return QueueView(position=found.position, estimated_start_seconds=round(found.seconds))


def _list(call: Call) -> Page:
    wanted = DeploymentFilter(tenant_id=call.tenant.id if call.tenant else None, states=_SHOWN)
    part = call.asked(Paging).part("createdAt")
    found = pages.deployments_page(call.tx, wanted, part)
    turns = places(call)
    rows = [_row(call, one, turns) for one in found.rows]
    return Page(rows, found.total)


def _row(call: Call, one: Shown, turns: dict[DeploymentId, Place]) -> QueuedView:
    place = turns.get(one.deployment.id)
    return QueuedView(**view(call, one), queue=place_view(place))


OPERATIONS = (
    Operation(
        id="listQueue",
        method="GET",
        path="/deployments/queue",
        summary="List what waits and runs",
        tag="Deployments",
        about=About.TENANT,
        verb=Verb.READ,
        handle=_list,
        answer=QueuedView,
        lists=True,
        query=Paging,
        description="Oldest first. Positions count the whole instance; whose turn is when is told "
        "from how long such deployments took before.",
    ),
)
