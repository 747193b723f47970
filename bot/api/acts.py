"""What the audit log is told of an operation that was carried out."""

from bot.api.operation import Call, Operation
from bot.domain.audit import Act


def act_of(call: Call, operation: Operation, *, origin: str, path: str) -> Act:
    """Who did what to which thing. `path` stands for the thing where the operation noted none."""
    who, noted = call.principal, call.noted
    return Act(
        action=operation.id,
        actor=who.name,
        actor_key=who.key,
        origin=origin,
        tenant_id=call.app.tenant_id if call.app else call.tenant.id if call.tenant else None,
        app_id=call.app.id if call.app else None,
        subject=noted.subject or path,
        before=noted.before,
        after=noted.after,
    )
