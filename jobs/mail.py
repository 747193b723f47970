"""Sends mail by the server of the settings: plain text, made of the templates in `templates/mail`."""

import smtplib
import ssl
from collections.abc import Mapping
from dataclasses import dataclass
from email.message import EmailMessage
from email.policy import SMTP
from email.utils import format_datetime, make_msgid, parseaddr
from typing import Any
from urllib.parse import SplitResult, unquote, urlsplit

from bot import render
from bot.clock import Clock, utc_now
from bot.log import logger
from bot.settings import Settings

SECONDS = 10.0
"""How long the server may take for each of its answers."""
_TRIES = 2
_HERE = ("localhost", "127.0.0.1", "::1")
_USUAL = {"smtp": 25, "smtps": 465}


class MailError(Exception):
    """A mail was not sent; the text says why, and what to look at."""


@dataclass(frozen=True)
class Mailer:
    """Sends mail, if a server is set."""

    settings: Settings
    clock: Clock = utc_now

    def send(self, to: str, template: str, facts: Mapping[str, Any]) -> None:
        """Send one mail. Raises `MailError`."""
        if self.settings.smtp_url is None:
            raise MailError("No mail server is set: SLIPWAY_SMTP_URL.")
        server = urlsplit(self.settings.smtp_url.get_secret_value())
        message = self._message(to, template, facts)
        for last in (one == _TRIES for one in range(1, _TRIES + 1)):
            try:
                self._hand_over(server, message)
            except (smtplib.SMTPException, OSError) as error:
                if last or not _passes(error):
                    logger.warning("a mail was not sent", template=template, error=_said(error))
                    raise MailError(f"{server.hostname} did not take the mail: {_said(error)}") from error
            else:
                return

    def _message(self, to: str, template: str, facts: Mapping[str, Any]) -> EmailMessage:
        subject, _, body = render.text(f"mail/{template}.txt.j2", facts).partition("\n\n")
        message = EmailMessage(policy=SMTP)
        sender = self.settings.mail_sender
        message["Subject"] = render.one_line(subject, 150)
        message["From"], message["To"] = sender, to
        message["Date"] = format_datetime(self.clock())
        message["Message-ID"] = make_msgid(domain=parseaddr(sender)[1].rpartition("@")[2] or None)
        # So that no absent person's machine answers (RFC 3834).
        message["Auto-Submitted"] = "auto-generated"
        message.set_content(body.strip() + "\n", cte="quoted-printable")
        return message

    def _hand_over(self, server: SplitResult, message: EmailMessage) -> None:
        host, trust = server.hostname or "", ssl.create_default_context()
        port = server.port or _USUAL[server.scheme]
        if server.scheme == "smtps":
            with smtplib.SMTP_SSL(host, port, timeout=SECONDS, context=trust) as line:
                self._speak(line, server, message)
            return
        with smtplib.SMTP(host, port, timeout=SECONDS) as line:
            line.ehlo()
            if line.has_extn("starttls"):
                line.starttls(context=trust)
                line.ehlo()
            elif server.password and host not in _HERE:
                raise MailError(f"{host} offers no TLS, so that the password is not sent to it.")
            self._speak(line, server, message)

    def _speak(self, line: smtplib.SMTP, server: SplitResult, message: EmailMessage) -> None:
        if server.username:
            line.login(unquote(server.username), unquote(server.password or ""))
        line.send_message(message)


def _passes(error: Exception) -> bool:
    """Whether another try may help: the line broke, or the server says that it is busy (RFC 5321, 4.2.1)."""
    if isinstance(error, smtplib.SMTPRecipientsRefused):
        return all(400 <= code < 500 for code, _ in error.recipients.values())
    if isinstance(error, smtplib.SMTPResponseException):
        return 400 <= error.smtp_code < 500
    return isinstance(error, OSError)


def _said(error: Exception) -> str:
    match error:
        case smtplib.SMTPRecipientsRefused():
            code, text = next(iter(error.recipients.values()))
        case smtplib.SMTPResponseException():
            code, text = error.smtp_code, error.smtp_error
        case _:
            return str(error) or type(error).__name__
    words = text.decode("utf-8", "replace") if isinstance(text, bytes) else text
    return f"{code} {render.one_line(words, 200)}"
