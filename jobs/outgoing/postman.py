"""Sends what waits for webhooks and channels: several at once, one at a time to each receiver.

A receiver that is slow keeps one of a few threads busy, and its tenant two at most: others go on. What
comes while some are under way is taken up at once.
"""

import time
from collections import Counter
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

from bot import signing
from bot.clock import Clock, utc_now
from bot.domain.audit import Act
from bot.domain.outgoing import Answer, Event, Message, Receiver, ReceiverKind
from bot.errors import SlipwayError
from bot.log import logger
from bot.queue import Queue
from bot.settings import Settings
from bot.store import audit, outbox, receivers
from bot.store.engine import Engine, Tx, reading, writing
from bot.vault import Vault
from jobs.outgoing import texts
from jobs.outgoing.channel import Notifier
from jobs.outgoing.post import post

AT_ONCE = 8
OF_ONE_TENANT = 2
_RUN_SECONDS = 120
_LOOK_SECONDS = 0.2

Flight = tuple[Receiver, Message]


@dataclass
class Postman:
    """Everything that sending needs."""

    settings: Settings
    engine: Engine
    queue: Queue
    vault: Vault
    clock: Clock = utc_now
    notifier: Notifier = field(init=False)

    def __post_init__(self) -> None:
        """Make what starts the program of notices; it is not started yet."""
        self.notifier = Notifier(self.settings.outgoing_networks)

    def run(self) -> None:
        """Send until nothing is left that is due."""
        end = time.monotonic() + _RUN_SECONDS
        flying: dict[Future[Answer], Flight] = {}
        with ThreadPoolExecutor(AT_ONCE) as pool:
            while True:
                if time.monotonic() < end:
                    for receiver, message in self._take(flying):
                        flying[pool.submit(self._send, receiver, message)] = (receiver, message)
                if not flying:
                    return
                done, _ = wait(flying, _LOOK_SECONDS, FIRST_COMPLETED)
                for one in done:
                    self._settle(*flying.pop(one), one.result())

    def is_owed(self) -> bool:
        """Whether anything is due."""
        with reading(self.engine) as tx:
            return outbox.is_ready(tx, self.clock())

    def _take(self, flying: dict[Future[Answer], Flight]) -> list[Flight]:
        room = AT_ONCE - len(flying)
        if not room or not self.is_owed():
            return []
        by_tenant = Counter(receiver.tenant_id for receiver, _ in flying.values())
        busy = {receiver.id for receiver, _ in flying.values()}
        taken: list[Flight] = []
        while len(taken) < room:
            full = {tenant for tenant, count in by_tenant.items() if count >= OF_ONE_TENANT}
            with writing(self.engine) as tx:
                found = outbox.take(tx, self.clock(), limit=1, busy=busy, full=full)
            if not found:
                break
            receiver, _ = found[0]
            busy.add(receiver.id)
            by_tenant[receiver.tenant_id] += 1
            taken += found
        if any(receiver.kind is ReceiverKind.CHANNEL for receiver, _ in taken):
            self.notifier.start()
        return taken

    def _send(self, receiver: Receiver, message: Message) -> Answer:
        try:
            if receiver.kind is ReceiverKind.CHANNEL:
                title, text = texts.notice(self.settings, message)
                return self.notifier.send(self.vault.open(receiver.sealed).decode(), title, text)
            body = texts.body(self.settings, message)
            kept = signing.unseal(self.vault, receiver.sealed)
            headers = {"content-type": "application/json", "user-agent": "Slipway"}
            headers |= signing.sign(kept, message.uid, body, self.clock())
            return post(receiver.address, headers, body, allowed=self.settings.outgoing_networks)
        except SlipwayError as error:
            return Answer(ok=False, note=f"It could not be made: {error.code}.")
        except Exception:  # noqa: BLE001  one that can't be sent must not keep the others from it
            logger.exception("a message could not be sent", message=message.uid)
            return Answer(ok=False, note="Slipway ran into an error of its own; the worker's log has it.")

    def _settle(self, receiver: Receiver, message: Message, answer: Answer) -> None:
        now = self.clock()
        with writing(self.engine) as tx:
            standing = outbox.settle(tx, receiver, message, answer, now=now)
            if standing is None or answer.ok:
                return
            outbox.give_up(tx, receiver.id, now, keep=outbox.MAX_WAITING)
            since = standing.failing_since
            patience = timedelta(days=self.settings.outgoing_failing_days)
            if answer.gone:
                self._switch_off(tx, standing, "It answered 410: it wants nothing any more.")
            elif since is not None and now - since >= patience:
                days = self.settings.outgoing_failing_days
                self._switch_off(tx, standing, f"Every attempt of the last {days} days failed. {answer.note}")

    def _switch_off(self, tx: Tx, receiver: Receiver, reason: str) -> None:
        now = self.clock()
        receivers.change(tx, receiver.id, {"enabled": False, "reason": reason})
        outbox.give_up(tx, receiver.id, now)
        subject = f"{receiver.kind} {receiver.name}"
        own: dict[str, Any] = {
            "tenant_id": receiver.tenant_id,
            "app_id": receiver.app_id,
            "after": {"reason": reason},
        }
        audit.record(tx, Act("webhook.disabled", "slipway", "slipway", subject=subject, **own), now)
        facts = {"kind": receiver.kind, "name": receiver.name, "reason": reason}
        others = [one for one in _neighbours(tx, receiver) if one.id != receiver.id]
        outbox.put(tx, others, Event.WEBHOOK_DISABLED, facts, now=now)
        logger.warning("a receiver was switched off", receiver=receiver.id, why=reason)


def _neighbours(tx: Tx, receiver: Receiver) -> list[Receiver]:
    if receiver.app_id is not None:
        return receivers.listening_to_app(tx, receiver.app_id)
    return receivers.listening_to_tenant(tx, receiver.tenant_id)
