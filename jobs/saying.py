"""A deployment's present state in one line, as commit statuses and comments say it."""

from bot.domain.deployment import Deployment
from bot.domain.ids import reference
from bot.render import MAX_STATUS, as_sentence, one_line, sentence_or, text
from bot.store import releases
from bot.store.engine import Tx


def says(tx: Tx, deployment: Deployment, environment: str) -> str:
    """What a deployment to an environment of that name does, did or waits for; at most 140 characters."""
    failure = deployment.failure
    superseded_by = deployment.superseded_by
    release = releases.find(tx, deployment.release_id) if deployment.release_id else None
    facts = {
        "kind": deployment.kind.value,
        "environment": environment,
        "hold": deployment.hold.value if deployment.hold else None,
        "sha": deployment.sha[:7],
        "attempt": deployment.attempt,
        "reason": deployment.reason,
        "release": release.name if release else None,
        "superseded_by": reference(superseded_by) if superseded_by else None,
        "sentence": as_sentence(deployment.reason or "the deployment failed"),
    }
    if failure is not None:
        facts["sentence"] = sentence_or(failure.code, failure.facts, str(facts["sentence"]))
    return one_line(text(f"status/{deployment.state}.j2", facts), MAX_STATUS)
