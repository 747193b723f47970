"""The deploy job: a permit to take the fairest ready environment and make its deployment there."""

import structlog

from bot import holder as holders
from bot import troubles
from bot.domain.deployment import Blame, Failure, State
from bot.domain.ids import reference
from bot.errors import ErrorCode, PlatformError, SlipwayError, UserError
from bot.leases import Claim, Leases
from bot.log import logger
from bot.render import sentence_or
from jobs.pipeline import Pipeline
from jobs.stopping import OvertakenError, StoppedError
from jobs.watch import Watch, Why, watching


class Deploy:
    """Claims, runs the pipeline, and gives the deployment its last word whatever happens."""

    def __init__(self, *, leases: Leases, pipeline: Pipeline) -> None:
        self._leases = leases
        self._pipeline = pipeline

    def __call__(self) -> None:
        """Use the permit; without anything to do it is gone."""
        claim = self._leases.claim(holders.this_process())
        if claim is None:
            return
        structlog.contextvars.bind_contextvars(deployment=reference(claim.deployment.id))
        logger.info("deploying", sha=claim.deployment.sha, attempt=claim.deployment.attempt)
        with watching(self._leases, claim) as watch:
            self._make(claim, watch)

    def _make(self, claim: Claim, watch: Watch) -> None:
        try:
            release = self._pipeline.run(claim, watch)
            self._leases.finish(claim, State.SUCCEEDED, f"{release.name} is live")
        except StoppedError:
            self._stop(claim, watch)
        except OvertakenError as overtaken:
            reason = f"superseded by {reference(overtaken.by)}"
            self._leases.finish(claim, State.SUPERSEDED, reason, superseded_by=overtaken.by)
        except UserError as error:
            self._fail(claim, error, Blame.USER)
        except PlatformError as error:
            logger.error("the platform failed", code=error.code, **error.facts)
            if not self._put_off(claim, error):
                self._fail(claim, error, Blame.PLATFORM)
        except Exception as error:
            logger.exception("an unexpected error")
            self._fail(claim, PlatformError(ErrorCode.UNEXPECTED, error=type(error).__name__), Blame.PLATFORM)
            raise

    def _stop(self, claim: Claim, watch: Watch) -> None:
        if watch.why is Why.HANDED_BACK:
            self._leases.hand_back(claim, "handed back: its worker was stopped")
        elif watch.why is Why.LEASE_LOST:
            logger.warning("the lease was lost; another worker goes on")
        else:
            self._leases.finish(claim, State.CANCELLED, "cancelled")

    def _put_off(self, claim: Claim, error: PlatformError) -> bool:
        pause = troubles.pause_before(error, claim.deployment.attempt)
        if pause is None:
            return False
        sentence = sentence_or(error.code, error.facts, str(error))
        reason = f"waits, and is tried again: {sentence}"
        if not self._leases.put_off(claim, reason, pause):
            logger.warning("the lease was lost; another worker goes on", code=error.code)
        return True

    def _fail(self, claim: Claim, error: SlipwayError, blame: Blame) -> None:
        failure = Failure(error.code, error.facts, blame)
        reason = sentence_or(error.code, error.facts, str(error))
        if not self._leases.finish(claim, State.FAILED, reason, failure=failure):
            logger.warning("the lease was lost; another worker has the last word", code=error.code)
