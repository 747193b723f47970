"""Inviting people into a tenant: a link that works once, for a week, for one address."""

import secrets
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

from bot.domain.errand import ErrandKind
from bot.domain.ids import ErrandId
from bot.domain.roles import Role
from bot.minted import digest_of
from bot.settings import Settings
from bot.store import errands, invitations, people
from bot.store.engine import Tx
from bot.store.invitations import Invitation, Mail, NewInvitation
from bot.store.people import Tenant, User
from bot.vault import Vault

LIFETIME = timedelta(days=7)
PAGE = "/invitation"
"""Where an invitation is accepted. Its secret is the fragment, which no server or log ever sees."""


class InvitationEndedError(Exception):
    """An invitation can't be accepted; the text says why."""


@dataclass(frozen=True)
class Issued:
    """An invitation whose link was made now. The errand sends it; without one, somebody must hand it on."""

    invitation: Invitation
    link: str = field(repr=False)
    errand: ErrandId | None


@dataclass(frozen=True)
class Inviter:
    """Makes invitations, and their links."""

    settings: Settings
    vault: Vault

    def invite(self, tx: Tx, tenant: Tenant, email: str, *, role: Role, by: str, now: datetime) -> Issued:
        """Invite somebody; an earlier invitation of the same address ends."""
        for earlier in invitations.of_tenant(tx, tenant.id):
            if earlier.email == email:
                invitations.change(tx, earlier.id, revoked_at=now)
        secret = secrets.token_urlsafe(32)
        new = NewInvitation(
            tenant_id=tenant.id,
            email=email,
            role=role,
            digest=digest_of(secret),
            created_by=by,
            expires_at=now + LIFETIME,
            mail=self._mail,
        )
        return self._send(tx, tenant, invitations.insert(tx, new, now), secret=secret, now=now)

    def renew(self, tx: Tx, tenant: Tenant, known: Invitation, *, now: datetime) -> Issued:
        """Make, and send, another link; the one before ends."""
        secret = secrets.token_urlsafe(32)
        changes = {"digest": digest_of(secret), "expires_at": now + LIFETIME, "mail": self._mail}
        invitations.change(tx, known.id, **changes, mail_note="")
        renewed = replace(
            known, digest=digest_of(secret), expires_at=now + LIFETIME, mail=self._mail, mail_note=""
        )
        return self._send(tx, tenant, renewed, secret=secret, now=now)

    @property
    def _mail(self) -> Mail:
        return Mail.WAITING if self.settings.smtp_url is not None else Mail.NONE

    def _send(self, tx: Tx, tenant: Tenant, one: Invitation, *, secret: str, now: datetime) -> Issued:
        link = f"{self.settings.url}{PAGE}#{secret}"
        if one.mail is Mail.NONE:
            return Issued(one, link, None)
        facts = {
            "organisation": tenant.name,
            "role": one.role.value,
            "by": one.created_by,
            "until": f"{one.expires_at:%Y-%m-%d %H:%M} UTC",
        }
        subject = {"template": "invitation", "to": one.email, "facts": facts, "invitation": one.id}
        sealed = self.vault.seal(secret.encode())
        return Issued(one, link, errands.ask(tx, ErrandKind.SEND_MAIL, subject, now, sealed=sealed))


def find_open(tx: Tx, secret: str, now: datetime) -> Invitation:
    """The invitation that a link's secret is of. Raises `InvitationEndedError`."""
    found = invitations.by_digest(tx, digest_of(secret))
    if found is None or found.revoked_at is not None:
        raise InvitationEndedError("There is no such invitation any more. Ask for another one.")
    if found.accepted_at is not None:
        raise InvitationEndedError("This invitation was accepted already. Sign in.")
    if not found.is_open(now):
        raise InvitationEndedError("This invitation has expired. Ask for another one.")
    return found


def accept(tx: Tx, invitation: Invitation, *, name: str = "", now: datetime) -> User:
    """Make the invited person a member; who is one already stays what they are."""
    user = people.ensure_user(tx, invitation.email, name=name, now=now)
    if people.member(tx, invitation.tenant_id, user.id) is None:
        people.ensure_member(
            tx, invitation.tenant_id, invitation.email, name=name, role=invitation.role, now=now
        )
    invitations.change(tx, invitation.id, accepted_at=now)
    return user
