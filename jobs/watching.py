"""What is asked before a hostname is served: whether the visitor may, whether it sleeps, who last came."""

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta

from bot.domain.app import App
from bot.domain.environment import Environment, EnvironmentKind
from bot.domain.ids import AppId
from bot.domain.protection import Protection, effective
from bot.intake.recipe import policy_from_json
from bot.intake.recipe_file import Policy
from bot.store import apps, share_links
from bot.store.engine import Tx
from jobs.gates import Gate
from jobs.site_entry import Watch

SAMPLE = timedelta(hours=1)
"""How old the last known visit of a preview becomes before the next one is heard of: until then, and for the
one that is heard of alone, a visit costs a question."""
_SAMPLES = 8


class Watching:
    """The rules of some apps, as the store has them at a moment."""

    def __init__(self, tx: Tx, known: Mapping[AppId, App], now: datetime) -> None:
        self._now = now
        self._apps = known
        policies = apps.policies(tx, known)
        self._rules = {app: (policy_from_json(policies.get(app)) or Policy()).previews for app in known}
        self._revoked = share_links.revoked(tx, known, now)

    def of(self, shown_by: Sequence[Environment], *, awake: bool = False) -> tuple[Watch, Gate | None]:
        """What is asked at a hostname that shows what these environments of one app have shown, and its gate.

        What production or a branch has shown is public, and never sleeps. With `awake`, all are in use.
        """
        if not shown_by or any(one.kind is not EnvironmentKind.PREVIEW for one in shown_by):
            return Watch.NOTHING, None
        gate = self._gate(shown_by)
        is_asleep = not awake and all(one.asleep_at is not None for one in shown_by)
        if gate is not None:
            return (Watch.GUARDED_ASLEEP if is_asleep else Watch.GUARDED), gate
        if is_asleep:
            return Watch.ASLEEP, None
        is_told = not awake and all(self._is_told(one) for one in shown_by)
        return (Watch.TOLD if is_told else Watch.NOTHING), None

    def _gate(self, shown_by: Sequence[Environment]) -> Gate | None:
        app = self._apps[shown_by[0].app_id]
        who = effective(app.protection, self._rules[app.id].protection, app.private)
        if who is Protection.OFF:
            return None
        ids = tuple(one.id for one in shown_by)
        revoked = tuple(self._revoked.get(app.id, ()))
        return Gate(app.id, ids, login=who is Protection.LOGIN, revoked=revoked)

    def _is_told(self, environment: Environment) -> bool:
        idle = self._rules[environment.app_id].idle_after
        used = environment.used_at or environment.born_at
        return used is not None and self._now - used > min(SAMPLE, idle / _SAMPLES)
