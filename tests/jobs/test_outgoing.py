"""Webhooks and notices, from what happened to a real receiver on the loopback."""

import base64
import email
import email.policy
import hashlib
import hmac
import json
import socket
import subprocess
import sys
import threading
from collections.abc import Generator
from contextlib import suppress
from datetime import timedelta
from ipaddress import ip_network
from pathlib import Path
from typing import Any

import pytest
from aiosmtpd.controller import Controller
from aiosmtpd.smtp import Envelope

from bot import signing
from bot.domain.app import App
from bot.domain.audit import Act
from bot.domain.deployment import UNKNOWN_COMMIT, Blame, Commit, Failure, Trigger
from bot.domain.ids import Sha, TenantId
from bot.domain.outgoing import RETRIES, Event, MessageState, Receiver, ReceiverKind
from bot.lifecycle import Order
from bot.queue import Queue, connect
from bot.settings import Settings
from bot.store import audit_pages, outbox, people, receivers
from bot.store.audit_pages import AuditFilter
from bot.store.engine import reading, writing
from bot.store.outbox import Attempt
from bot.store.pages import Slice
from bot.store.receivers import NewReceiver
from bot.vault import open_vault
from jobs.outgoing import texts
from jobs.outgoing.post import post
from jobs.outgoing.postman import Postman
from tests.fakes.ear import Ear, listening
from tests.instance import Instance
from tests.waiting import wait_until
from tests.web import free_port

COMMIT = Commit(Sha("d" * 40), "A change", "mona")
LOOPBACK = [ip_network("127.0.0.0/8")]
FAILED = (Event.DEPLOYMENT_FAILED,)
FAILURE = Failure("build-failed", {"command": "npm run build", "exit_code": 1}, Blame.USER)


@pytest.fixture
def ear() -> Generator[Ear]:
    with listening() as ear:
        yield ear


class Office:
    """An instance, and the postman that its worker has."""

    def __init__(self, home: Path, networks: str) -> None:
        self.instance = Instance(home)
        self.vault = open_vault(self.instance.settings)
        self.instance.moment = self.instance.now()
        given = {"home": home, "outgoing_networks": networks, "redis_url": self.instance.settings.redis}
        settings = Settings.model_validate(given)
        queue = Queue(connect(settings.redis))
        self.postman = Postman(settings, self.instance.engine, queue, self.vault, self.instance.now)
        self.shop = self.instance.app("shop")
        self.secret = signing.mint()

    def hook(self, url: str, *events: Event, **more: Any) -> Receiver:
        sealed = signing.seal(self.vault, [self.secret])
        return self.receiver(ReceiverKind.WEBHOOK, url, sealed, events, **more)

    def channel(self, url: str, *events: Event) -> Receiver:
        return self.receiver(ReceiverKind.CHANNEL, "x", self.vault.seal(url.encode()), events)

    def receiver(
        self,
        kind: ReceiverKind,
        address: str,
        sealed: bytes,
        events: tuple[Event, ...],
        *,
        app: App | None = None,
        tenant: TenantId | None = None,
    ) -> Receiver:
        new = NewReceiver(
            tenant_id=tenant or self.shop.tenant_id,
            project_id=None,
            app_id=app.id if app else None,
            kind=kind,
            name="board",
            address=address,
            sealed=sealed,
            events=frozenset(events),
            created_by="mona",
        )
        with writing(self.instance.engine) as tx:
            return receivers.insert(tx, new, self.instance.now())

    def deploy(self, sha: str = "a", *, fails: bool = False, message: str = "Add prices") -> None:
        self.instance.push(self.shop, sha * 40, message=message)
        claim = self.instance.claim()
        if fails:
            self.instance.fail(claim, FAILURE)
        else:
            self.instance.succeed(claim)

    def begin_and_fail(self) -> None:
        """Ask for a deployment in a transaction that is then undone."""
        with self.instance.lifecycle.change() as change:
            order = Order(self.shop, "production", "main", COMMIT, Trigger.PUSH, "pushed", "mona")
            self.instance.lifecycle.request(change, order)
            assert change.message
            raise ZeroDivisionError

    def again(self, receiver: Receiver) -> Receiver:
        with reading(self.instance.engine) as tx:
            found = receivers.find(tx, receiver.id)
        assert found is not None
        return found

    def log(self, receiver: Receiver) -> list[tuple[str, MessageState, list[Attempt]]]:
        with reading(self.instance.engine) as tx:
            found = outbox.page(tx, receiver.id, Slice(0, 100, "")).rows
            tried = outbox.attempts_of(tx, [one.id for one in found])
        return [(one.event, one.state, tried[one.id]) for one in reversed(found)]

    def close(self) -> None:
        self.postman.notifier.close()
        self.instance.close()


@pytest.fixture
def office(tmp_path: Path) -> Generator[Office]:
    office = Office(tmp_path, "127.0.0.0/8")
    yield office
    office.close()


def test_each_step_of_a_deployment_is_told_in_order_and_signed(office: Office, ear: Ear):
    hook = office.hook(f"{ear.url}/")
    office.deploy()
    office.postman.run()
    told = "deployment.queued deployment.running deployment.succeeded release.activated".split()
    assert ear.events() == told
    one = ear.heard[2]
    data = json.loads(one.body)["data"]
    assert (data["app"], data["environment"], data["deployment"]) == ("shop", "production", "DEP-1")
    assert (data["commit"], data["release"]) == ("a" * 40, office_release(office))
    assert data["url"] == "http://shop.localhost:8080"
    uid, at = one.headers["webhook-id"], one.headers["webhook-timestamp"]
    key = base64.b64decode(office.secret.text.removeprefix("whsec_"))
    said = f"{uid}.{at}.".encode() + one.body
    wanted = base64.b64encode(hmac.digest(key, said, hashlib.sha256)).decode()
    assert one.headers["webhook-signature"] == f"v1,{wanted}"
    assert abs(int(at) - office.instance.now().timestamp()) < 60
    assert [(state, tried[0].answer) for _, state, tried in office.log(hook)] == [("delivered", "thanks")] * 4
    assert not office.postman.is_owed()


def office_release(office: Office) -> str:
    with reading(office.instance.engine) as tx:
        found = outbox.page(tx, 1, Slice(0, 1, "")).rows[0]
    assert found.facts["releaseNumber"] == 1
    return found.facts["release"]


def test_nothing_is_told_of_what_was_rolled_back_or_not_chosen(office: Office, ear: Ear):
    second = office.instance.app("second")
    chosen = (Event.DEPLOYMENT_QUEUED, Event.DEPLOYMENT_FAILED, Event.DEPLOYMENT_RECOVERED)
    office.hook(f"{ear.url}/chosen", *chosen)
    office.hook(f"{ear.url}/second", app=second)
    office.deploy("a", fails=True)
    with pytest.raises(ZeroDivisionError):
        office.begin_and_fail()
    office.deploy("b")
    office.deploy("c")
    office.postman.run()
    queued = "deployment.queued"
    wanted = [queued, "deployment.failed", queued, "deployment.recovered", queued]
    assert ear.events("/chosen") == wanted
    assert ear.events("/second") == []


def test_a_failed_message_is_tried_again_for_a_day_and_then_given_up(office: Office, ear: Ear):
    hook = office.hook(f"{ear.url}/", Event.DEPLOYMENT_FAILED)
    ear.answers["/"] = (500, {}, b"\x1b[31mbroken\n" + b"x" * 5000)
    office.deploy(fails=True)
    office.postman.run()
    assert len(ear.heard) == 1
    assert not office.postman.is_owed()
    for pause in RETRIES:
        office.instance.pass_by(pause - timedelta(seconds=1))
        office.postman.run()
        office.instance.pass_by(timedelta(seconds=2))
        office.postman.run()
    assert len(ear.heard) == 1 + len(RETRIES)
    assert len({(one.headers["webhook-id"], one.body) for one in ear.heard}) == 1
    ((_, state, tried),) = office.log(hook)
    assert (state, tried[0].status, tried[0].note) == ("failed", 500, "It answered 500.")
    assert tried[0].answer.startswith("[31mbroken\nxxx")
    assert len(tried[0].answer) <= 1024


def test_what_fails_does_not_stop_what_comes_after_it(office: Office, ear: Ear):
    hook = office.hook(f"{ear.url}/", Event.DEPLOYMENT_FAILED, Event.DEPLOYMENT_SUCCEEDED)
    ear.answers["/"] = (503, {}, b"")
    office.deploy("a", fails=True)
    office.deploy("b")
    office.postman.run()
    assert ear.events() == ["deployment.failed"]
    ear.answers.clear()
    office.instance.pass_by(timedelta(seconds=6))
    office.postman.run()
    assert ear.events() == ["deployment.failed", "deployment.failed", "deployment.succeeded"]
    assert office.again(hook).failures == 0


def test_a_slow_receiver_delays_no_other(office: Office, ear: Ear):
    for number in range(3):
        office.hook(f"{ear.url}/slow{number}", Event.DEPLOYMENT_FAILED)
        ear.gates[f"/slow{number}"] = threading.Event()
    office.deploy(fails=True)
    running = threading.Thread(target=office.postman.run)
    running.start()
    wait_until(lambda: len(ear.heard) == 2, what="two are under way")
    with writing(office.instance.engine) as tx:
        tenant = people.insert_tenant(tx, "other", "Other", office.instance.now()).id
    fast = office.hook(f"{ear.url}/fast", tenant=tenant)
    with writing(office.instance.engine) as tx:
        outbox.put(tx, [fast], Event.TEST, {}, now=office.instance.now())
    wait_until(lambda: ear.events("/fast"), what="the other tenant is told")
    assert running.is_alive()
    assert len([one for one in ear.heard if one.path.startswith("/slow")]) == 2
    for gate in ear.gates.values():
        gate.set()
    running.join(10)
    assert len([one for one in ear.heard if one.path.startswith("/slow")]) == 3


def test_redirects_are_not_followed_and_a_hanging_receiver_is_left(office: Office, ear: Ear):
    hook = office.hook(f"{ear.url}/moved", Event.DEPLOYMENT_FAILED)
    ear.answers["/moved"] = (302, {"location": f"{ear.url}/elsewhere"}, b"")
    office.deploy(fails=True)
    office.postman.run()
    assert [one.path for one in ear.heard] == ["/moved"]
    assert "Redirects are not followed" in office.log(hook)[0][2][0].note


def test_a_receiver_that_answers_drop_by_drop_is_given_up_in_time():
    listener = socket.create_server(("127.0.0.1", 0))
    ended = threading.Event()

    def drip() -> None:
        connection, _ = listener.accept()
        with connection, suppress(OSError):
            while not ended.wait(0.05):
                connection.sendall(b"H")

    thread = threading.Thread(target=drip)
    thread.start()
    url = f"http://127.0.0.1:{listener.getsockname()[1]}/"
    answer = post(url, {"host": "x"}, b"{}", allowed=LOOPBACK, seconds=0.5)
    ended.set()
    thread.join(10)
    listener.close()
    assert not answer.ok
    assert 400 < answer.milliseconds < 3000


def test_a_name_is_refused_when_it_stands_for_a_private_address(tmp_path: Path, ear: Ear):
    office = Office(tmp_path, "")
    hook = office.hook(ear.url.replace("127.0.0.1", "localhost"), Event.DEPLOYMENT_FAILED)
    office.deploy(fails=True)
    office.postman.run()
    office.close()
    assert ear.heard == []
    assert "OUTGOING_NETWORKS" in office.log(hook)[0][2][0].note


def test_a_receiver_that_fails_for_days_is_switched_off_and_others_are_told(office: Office, ear: Ear):
    broken = office.hook(f"{ear.url}/broken")
    office.hook(f"{ear.url}/watch", Event.WEBHOOK_DISABLED)
    ear.answers["/broken"] = (500, {}, b"")
    for _ in range(6):
        office.deploy(fails=True)
        office.postman.run()
        office.instance.pass_by(timedelta(days=1, seconds=1))
    office.postman.run()
    now = office.again(broken)
    assert (now.enabled, now.reason) == (False, "Every attempt of the last 5 days failed. It answered 500.")
    assert ear.events("/watch") == ["webhook.disabled"]
    assert {state for _, state, _ in office.log(broken)} == {"failed"}
    with reading(office.instance.engine) as tx:
        (row,) = audit_pages.page(tx, AuditFilter(action="webhook.disabled"), Slice(0, 9, "")).rows
    assert (row.act.actor, row.act.subject) == ("slipway", "webhook board")
    before = len(ear.heard)
    office.deploy("e")
    office.postman.run()
    assert len(ear.heard) == before


def test_one_that_is_gone_for_good_says_so(office: Office, ear: Ear):
    hook = office.hook(f"{ear.url}/", Event.DEPLOYMENT_FAILED)
    ear.answers["/"] = (410, {}, b"")
    office.deploy(fails=True)
    office.postman.run()
    assert "410" in office.again(hook).reason


def test_retry_after_is_kept_to(office: Office, ear: Ear):
    office.hook(f"{ear.url}/", Event.DEPLOYMENT_FAILED)
    ear.answers["/"] = (429, {"retry-after": "600"}, b"")
    office.deploy(fails=True)
    office.postman.run()
    office.instance.pass_by(timedelta(seconds=590))
    office.postman.run()
    assert len(ear.heard) == 1
    office.instance.pass_by(timedelta(seconds=20))
    office.postman.run()
    assert len(ear.heard) == 2


def test_a_lost_process_leaves_its_message_to_the_next(office: Office, ear: Ear):
    office.hook(f"{ear.url}/", Event.DEPLOYMENT_FAILED)
    office.deploy(fails=True)
    with writing(office.instance.engine) as tx:
        assert len(outbox.take(tx, office.instance.now(), limit=5)) == 1
    office.postman.run()
    assert ear.heard == []
    office.instance.pass_by(outbox.HOLD + timedelta(seconds=1))
    office.postman.run()
    assert ear.events() == ["deployment.failed"]


def test_every_event_has_its_words(office: Office):
    hook = office.hook("http://127.0.0.1:1/")
    office.deploy(fails=True)
    office.deploy("b")
    instance = office.instance
    with instance.lifecycle.change() as change:
        change.use(instance.lifecycle.environment(change, office.shop, "preview/pr-7"))
        own: dict[str, Any] = {"tenant_id": office.shop.tenant_id, "app_id": office.shop.id}
        for action in ("updateApp", "setVariables", "addDomain", "addMember", "createToken"):
            change.record(Act(action, "mona", "token:1", subject="x", **own))
            change.record(Act(action, "mona", "token:1", subject="x", tenant_id=office.shop.tenant_id))
        outbox.put(change.tx, [hook], Event.TEST, {"actor": "mona"}, now=change.now)
        disabled = {"kind": "webhook", "name": "board", "reason": "It failed."}
        outbox.put(change.tx, [hook], Event.WEBHOOK_DISABLED, disabled, now=change.now)
    with reading(instance.engine) as tx:
        told = outbox.page(tx, hook.id, Slice(0, 100, "")).rows
    titles = {one.event: texts.notice(instance.settings, one)[0] for one in told}
    # The others are told in the same words as a deployment, or a preview, that came.
    others = "held cancelled superseded skipped rejected rolled-back removed".split()
    assert {one for one in Event if one not in titles} == {
        one for one in Event if one.endswith(tuple(others))
    }
    assert titles[Event.DEPLOYMENT_RECOVERED].startswith("shop production works again: ")
    assert titles[Event.VARIABLE_CHANGED].endswith(": x")
    assert titles[Event.WEBHOOK_DISABLED] == "board was switched off"
    assert all(titles.values())


def test_a_commit_that_is_not_known_yet_is_told_by_its_branch(office: Office):
    hook, instance = office.hook("http://127.0.0.1:1/"), office.instance
    with instance.lifecycle.change() as change:
        unknown = Commit(UNKNOWN_COMMIT)
        order = Order(office.shop, "production", "main", unknown, Trigger.MANUAL, "asked for", "mona")
        instance.lifecycle.request(change, order)
    with reading(instance.engine) as tx:
        told = outbox.page(tx, hook.id, Slice(0, 1, "")).rows[0]
    assert json.loads(texts.body(instance.settings, told))["data"]["commit"] is None
    assert "\nmain\n" in "\n".join(texts.notice(instance.settings, told))


def test_two_secrets_sign_for_a_day_after_a_rotation(office: Office):
    now = office.instance.now()
    made = signing.mint()
    kept = signing.rotated([office.secret], made, now)
    first, second = (
        signing.sign([one], "msg_1", b"{}", now)["webhook-signature"] for one in (made, office.secret)
    )
    assert signing.sign(kept, "msg_1", b"{}", now)["webhook-signature"] == f"{first} {second}"
    later = now + timedelta(hours=25)
    assert " " not in signing.sign(kept, "msg_1", b"{}", later)["webhook-signature"]
    assert office.secret.text not in repr(kept)


STRANGE = "@everyone <!channel> see https://evil.example [x](y) evil.example\u202e"


class Mails:
    def __init__(self) -> None:
        self.taken: list[Envelope] = []

    async def handle_DATA(self, _server: object, _session: object, envelope: Envelope) -> str:  # noqa: N802
        self.taken.append(envelope)
        return "250 OK"


def test_a_notice_comes_by_mail_and_by_a_service_and_strangers_text_is_harmless(office: Office, ear: Ear):
    mails = Mails()
    controller = Controller(mails, hostname="127.0.0.1", port=free_port())
    controller.start()
    place = ear.url.partition("://")[2]
    mail = office.channel(f"mailto://127.0.0.1:{controller.port}?from=a@b.example&to=c@d.example", *FAILED)
    office.channel(f"json://{place}/notice", *FAILED)
    broken = office.channel("slack://not/enough", *FAILED)
    secret = office.channel("file:///etc/passwd", *FAILED)
    office.deploy(fails=True, message=STRANGE)
    office.postman.run()
    controller.stop()
    assert [state for _, state, _ in office.log(mail)] == ["delivered"], office.log(mail)
    told = json.loads(next(one for one in ear.heard if one.path == "/notice").body)
    assert told["title"] == "shop production failed: DEP-1"
    assert "Add prices" not in told["message"]
    for harmful in ("@everyone", "<!", "https://evil", "evil.example", "](", "\u202e"):
        assert harmful not in told["message"]
    assert "http://localhost:8000/deployments/DEP-1" in told["message"]
    (envelope,) = mails.taken
    content = email.message_from_bytes(bytes(envelope.original_content or b""), policy=email.policy.default)
    assert content["subject"] == "shop production failed: DEP-1"
    body = content.get_body()
    assert body is not None
    assert "/deployments/DEP-1" in body.get_content()
    for one in (broken, secret):
        assert office.log(one)[0][2][0].note == "Its URL is not one that apprise understands."


def test_a_notice_reaches_no_private_address(tmp_path: Path, ear: Ear):
    office = Office(tmp_path, "")
    place = ear.url.partition("://")[2]
    private = office.channel(f"json://{place}/notice", *FAILED)
    mail = office.channel(f"mailto://127.0.0.1:{free_port()}?from=a@b.example&to=c@d.example", *FAILED)
    office.deploy(fails=True)
    office.postman.run()
    office.close()
    assert ear.heard == []
    for one in (private, mail):
        note = office.log(one)[0][2][0].note
        assert office.log(one)[0][1] == "waiting", note


def test_the_guard_holds_whatever_a_service_tries():
    program = """
import ipaddress, socket, subprocess
from jobs.outgoing.notifier import guard
guard([ipaddress.ip_network("127.0.0.2/32")])
def tried(what):
    try:
        what()
    except PermissionError as error:
        return str(error)
    except OSError:
        return "dialled"
print(tried(lambda: socket.create_connection(("127.0.0.1", 9), 1)))
print(tried(lambda: socket.create_connection(("127.0.0.2", 9), 1)))
print(tried(lambda: socket.socket(socket.AF_UNIX).connect("/nowhere")))
print(tried(lambda: socket.socket(socket.AF_INET, socket.SOCK_DGRAM).sendto(b"x", ("127.0.0.1", 9))))
print(tried(lambda: open("/etc/passwd")))
print(tried(lambda: open("/usr/share/x", "w")))
print(tried(lambda: subprocess.run(["true"])))
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    private = "it is at a private address, which OUTGOING_NETWORKS does not allow"
    unread, unstarted = "a notice reads no file", "a notice starts no program"
    assert done.stdout.splitlines() == [private, "dialled", private, private, unread, unread, unstarted]
