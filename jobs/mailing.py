"""The errand that sends a mail, and what is remembered of it."""

from dataclasses import dataclass

from bot.domain.errand import Errand
from bot.invitations import PAGE
from bot.minted import digest_of
from bot.settings import Settings
from bot.store import invitations
from bot.store.engine import Engine, writing
from bot.store.invitations import Mail
from bot.vault import Vault
from jobs.mail import Mailer, MailError


@dataclass(frozen=True)
class Mailing:
    """Sends the mails that people's wishes cause."""

    settings: Settings
    engine: Engine
    vault: Vault
    mailer: Mailer

    def send(self, errand: Errand) -> None:
        """Send the mail of an errand. Raises `MailError`."""
        subject = errand.subject
        secret = self.vault.open(errand.sealed).decode() if errand.sealed is not None else None
        facts = {**subject["facts"], "url": self.settings.url}
        if secret is not None:
            facts["link"] = f"{self.settings.url}{PAGE}#{secret}"
        number: int | None = subject.get("invitation")
        try:
            self.mailer.send(subject["to"], subject["template"], facts)
        except MailError as error:
            self._note(number, secret, Mail.FAILED, note=str(error))
            raise
        self._note(number, secret, Mail.SENT)

    def _note(self, number: int | None, secret: str | None, mail: Mail, *, note: str = "") -> None:
        if number is not None and secret is not None:
            with writing(self.engine) as tx:
                invitations.note_mail(tx, number, digest_of(secret), mail, note=note)
