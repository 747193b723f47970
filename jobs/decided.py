"""How decisions about deliveries are stored."""

from datetime import datetime
from typing import Any

from bot.domain.app import App
from bot.intake.decision import Decision
from bot.store.deliveries import Delivery, StoredDecision


def kind_of(decision: Decision) -> str:
    """A decision's kind in one word."""
    return type(decision).__name__.lower()


def stored(
    delivery: Delivery,
    app: App | None,
    decision: Decision,
    *,
    now: datetime,
    facts: dict[str, Any] | None = None,
) -> StoredDecision:
    """A decision as it is stored."""
    return StoredDecision(
        delivery_id=delivery.id,
        app_id=app.id if app else None,
        kind=kind_of(decision),
        code=decision.code,
        sentence=decision.sentence,
        facts=facts or {},
        created_at=now,
    )
