import ssl
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from email import message_from_bytes, policy
from email.message import EmailMessage
from pathlib import Path
from typing import Any

import pytest
from aiosmtpd.controller import Controller
from aiosmtpd.smtp import AuthResult, LoginPassword
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from bot.domain.errand import ErrandKind
from bot.domain.roles import Role
from bot.invitations import Inviter, find_open
from bot.settings import Settings
from bot.store import errands, invitations, people
from bot.store.engine import reading, writing
from bot.store.invitations import Mail
from bot.vault import open_vault
from jobs.mail import Mailer, MailError
from jobs.mailing import Mailing
from tests.instance import Instance
from tests.web import free_port

USER, PASSWORD = "slipway", "p@ss/word"


@dataclass
class Server:
    """A mail server. `refusals` are what it answers to recipients before it takes some."""

    port: int = 0
    refusals: list[str] = field(default_factory=list[str])
    taken: list[EmailMessage] = field(default_factory=list[EmailMessage])
    signed_in: list[bytes] = field(default_factory=list[bytes])

    async def handle_RCPT(self, _server: Any, _session: Any, envelope: Any, to: str, _options: Any) -> str:  # noqa: N802
        if self.refusals:
            return self.refusals.pop(0)
        envelope.rcpt_tos.append(to)
        return "250 OK"

    async def handle_DATA(self, _server: Any, _session: Any, envelope: Any) -> str:  # noqa: N802
        self.taken.append(message_from_bytes(envelope.content, policy=policy.default))
        return "250 taken"

    def check(self, _server: Any, _session: Any, _envelope: Any, _mechanism: str, given: Any) -> AuthResult:
        assert isinstance(given, LoginPassword)
        self.signed_in.append(given.password)
        # What is not handled here, the library answers by 535.
        known = (given.login, given.password) == (USER.encode(), PASSWORD.encode())
        return AuthResult(success=known, handled=False)


@contextmanager
def serving(*, signs_in: bool = False, **options: Any) -> Generator[Server]:
    server = Server(port=free_port())
    if signs_in:
        options |= {"authenticator": server.check, "auth_require_tls": False}
    controller = Controller(server, hostname="127.0.0.1", port=server.port, **options)
    controller.start()
    try:
        yield server
    finally:
        controller.stop()


def certificate(folder: Path) -> tuple[Path, Path]:
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "127.0.0.1")])
    now = datetime.now(UTC)
    made = (
        x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .sign(key, hashes.SHA256())
    )
    public, private = folder / "cert.pem", folder / "key.pem"
    public.write_bytes(made.public_bytes(serialization.Encoding.PEM))
    form = serialization.PrivateFormat.PKCS8
    private.write_bytes(key.private_bytes(serialization.Encoding.PEM, form, serialization.NoEncryption()))
    return public, private


def mailer(url: str | None, **settings: Any) -> Mailer:
    values = {"smtp_url": url, "public_url": "https://bot.example.org", **settings}
    return Mailer(Settings.model_validate(values))


def test_a_mail_arrives_with_what_its_template_says():
    with serving() as server:
        sending = mailer(f"smtp://127.0.0.1:{server.port}")
        facts = {"by": "Ölga\r\nBcc: evil@example.org", "url": "https://bot.example.org"}
        sending.send("mona@example.org", "test", facts)
    (mail,) = server.taken
    assert (mail["To"], mail["Subject"]) == ("mona@example.org", "Slipway can send mail")
    assert mail["From"] == "Slipway <slipway@bot.example.org>"
    assert mail["Bcc"] is None
    assert mail["Auto-Submitted"] == "auto-generated"
    assert mail["Message-ID"].endswith("@bot.example.org>")
    assert "Ölga" in mail.get_content()


def test_the_password_is_used_and_a_wrong_one_is_said_but_not_shown():
    with serving(signs_in=True) as server:
        url, facts = f"127.0.0.1:{server.port}", {"by": "olga", "url": "x"}
        sender = {"smtp_from": "Ops <a@example.org>"}
        mailer(f"smtp://{USER}:p%40ss%2Fword@{url}", **sender).send("m@x.org", "test", facts)
        assert server.taken[0]["From"] == "Ops <a@example.org>"
        with pytest.raises(MailError, match="535") as caught:
            mailer(f"smtp://{USER}:wrong@{url}").send("m@x.org", "test", facts)
        assert "wrong" not in str(caught.value)
    assert set(server.signed_in) == {PASSWORD.encode(), b"wrong"}


def test_a_busy_server_is_asked_again_and_a_refusal_is_final():
    facts = {"by": "olga", "url": "x"}
    with serving() as server:
        sending = mailer(f"smtp://127.0.0.1:{server.port}")
        server.refusals = ["451 busy"]
        sending.send("m@x.org", "test", facts)
        assert len(server.taken) == 1
        server.refusals = ["550 no such person", "550 again"]
        with pytest.raises(MailError, match="did not take the mail: 550 no such person"):
            sending.send("m@x.org", "test", facts)
        assert server.refusals == ["550 again"]
    with pytest.raises(MailError, match="refused"):
        sending.send("m@x.org", "test", facts)
    with pytest.raises(MailError, match="SLIPWAY_SMTP_URL"):
        mailer(None).send("m@x.org", "test", facts)


def test_a_server_that_nobody_vouches_for_gets_nothing(tmp_path: Path):
    trust = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    trust.load_cert_chain(*certificate(tmp_path))
    with serving(tls_context=trust, signs_in=True) as server:
        sending = mailer(f"smtp://{USER}:p%40ss%2Fword@127.0.0.1:{server.port}")
        with pytest.raises(MailError, match="certificate"):
            sending.send("m@x.org", "test", {"by": "olga", "url": "x"})
    assert (server.taken, server.signed_in) == ([], [])


def test_an_invitation_is_sent_and_its_link_works(tmp_path: Path):
    with serving() as server:
        url = f"smtp://127.0.0.1:{server.port}"
        instance = Instance(tmp_path, smtp_url=url, public_url="https://bot.example.org")
        vault, now = open_vault(instance.settings), instance.now()
        with writing(instance.engine) as tx:
            acme = people.insert_tenant(tx, "acme", "Acme\n\nevil", now)
            inviter = Inviter(instance.settings, vault)
            issued = inviter.invite(tx, acme, "mona@example.org", role=Role.VIEWER, by="olga", now=now)
            assert issued.errand is not None
            errand = errands.get(tx, issued.errand)
        assert errand is not None
        assert (errand.kind, issued.invitation.mail) == (ErrandKind.SEND_MAIL, Mail.WAITING)
        mailing = Mailing(instance.settings, instance.engine, vault, Mailer(instance.settings))
        mailing.send(errand)
        (mail,) = server.taken
        assert mail["Subject"] == "olga invites you to Acme"
        assert f"https://bot.example.org/invitation#{issued.link.partition('#')[2]}" in mail.get_content()
        with writing(instance.engine) as tx:
            assert find_open(tx, issued.link.partition("#")[2], now).mail is Mail.SENT
            again = inviter.renew(tx, acme, issued.invitation, now=now)
            assert again.errand is not None
            renewed = errands.get(tx, again.errand)
        assert renewed is not None
        server.refusals = ["550 no such person"]
        with pytest.raises(MailError):
            mailing.send(renewed)
        # What becomes of the mail with a link that was replaced says nothing of the present one.
        mailing.send(errand)
        with reading(instance.engine) as tx:
            (known,) = invitations.of_tenant(tx, acme.id)
        assert known.mail is Mail.FAILED
        assert "550 no such person" in known.mail_note
        instance.close()
