"""What is kept of a decision, and said of it in the log."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from bot.domain.app import App
from bot.intake.decision import Decision, Note
from bot.log import logger
from bot.store.deliveries import Delivery, StoredDecision
from jobs.cases import Case


def facts_kept(case: Case, made: list[int]) -> dict[str, Any]:
    """What a decision was made from, and the deployments that came of it."""
    facts: dict[str, Any] = {"notes": case.notes, "deployments": made}
    return facts if case.changed is None else {**facts, "changed": len(case.changed)}


def stored(
    delivery: Delivery,
    app: App | None,
    decision: Decision | Note,
    *,
    now: datetime,
    facts: dict[str, Any] | None = None,
) -> StoredDecision:
    """A decision as the store keeps it."""
    return StoredDecision(
        delivery_id=delivery.id,
        app_id=app.id if app else None,
        kind=kind(decision),
        code=decision.code,
        sentence=decision.sentence,
        facts=facts or {},
        created_at=now,
    )


def log(delivery: Delivery, decided: Sequence[tuple[App, Decision | Note]]) -> None:
    """Say in the log what was decided."""
    kinds = [f"{app.slug}: {kind(decision)}" for app, decision in decided]
    logger.info("decided", delivery=delivery.id, kind=delivery.event, decisions=kinds)


def kind(decision: Decision | Note) -> str:
    """The name of a kind of decisions."""
    return type(decision).__name__.lower()
