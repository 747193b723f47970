"""People who call: by an ID token of the configured issuer, or by the session of a page of ours."""

from dataclasses import dataclass

from starlette.requests import Request

from bot.api.refusals import Code, RefusalError
from bot.callers import principal_of
from bot.domain.ids import TenantId
from bot.domain.roles import Principal
from bot.oidc import IdTokenError, Issuer, IssuerAwayError, Wrong
from bot.origin import from_this_host
from bot.sessions import Sessions
from bot.store import people
from bot.store.engine import Engine, reading
from bot.store.people import User

ORG = "x-slipway-org"
"""Header that names the organisation where the path does not."""
FORM_TOKEN = "x-csrf-token"  # noqa: S105 a header's name
SAFE = ("GET", "HEAD")


def wanted_org(request: Request) -> str | None:
    """The organisation that a request names: in its path, else in its header."""
    return request.path_params.get("org") or request.headers.get(ORG) or None


@dataclass(frozen=True)
class Visitors:
    """Tells people by what they show. Without an issuer no ID token counts."""

    engine: Engine
    sessions: Sessions
    issuer: Issuer | None

    def by_id_token(self, request: Request, token: str) -> Principal:
        """Who has an ID token. Raises `IdTokenError`, or `RefusalError` 403 or 503."""
        if self.issuer is None:
            raise IdTokenError(Wrong.INVALID, "This instance has no OIDC issuer. Send a token of its own.")
        try:
            claims = self.issuer.read(token)
        except IssuerAwayError as error:
            message = (
                f"{self.issuer.name} does not answer, so that its tokens can't be checked. Try again soon."
            )
            raise RefusalError(503, Code.ISSUER_SILENT, message, headers={"Retry-After": "15"}) from error
        with reading(self.engine) as tx:
            user = people.user_by_email(tx, claims.email)
        if user is None:
            raise _stranger(claims.email)
        return self._in_tenant(request, user, f"oidc:{user.id}")

    def by_session(self, request: Request) -> Principal | None:
        """Whose session a request's cookie is of; None without one.

        Raises `RefusalError` 403 when another site may have made the browser send it.
        """
        found = self.sessions.find(request)
        if found is None:
            return None
        self._check_origin(request)
        with reading(self.engine) as tx:
            user = people.user(tx, found.user_id)
        assert user is not None
        chosen = str(found.tenant_id) if found.tenant_id is not None else None
        only = found.tenant_id if found.is_bound else None
        return self._in_tenant(request, user, f"session:{found.id}", chosen=chosen, only=only)

    def led_here(self, request: Request, tenant: TenantId) -> Principal | None:
        """Whose session a request's cookie is of, as a member of a tenant; None for others.

        Any site may have led the browser here: for answers alone that do no harm to who did not ask.
        """
        found = self.sessions.find(request)
        if found is None:
            return None
        only = found.tenant_id if found.is_bound else None
        with reading(self.engine) as tx:
            user = people.user(tx, found.user_id)
            assert user is not None
            member = principal_of(tx, user, f"session:{found.id}", wanted=str(tenant), only=only)
        return member if member is not None and member.tenant_id == tenant else None

    def _in_tenant(
        self,
        request: Request,
        user: User,
        key: str,
        *,
        chosen: str | None = None,
        only: TenantId | None = None,
    ) -> Principal:
        with reading(self.engine) as tx:
            found = principal_of(tx, user, key, wanted=wanted_org(request) or chosen, only=only)
        if found is None:
            raise _stranger(user.email)
        return found

    def _check_origin(self, request: Request) -> None:
        """Cookies come with requests of other sites, too: `SameSite` does not tell sites of one domain."""
        origin = from_this_host(request)
        if origin is None and request.method not in SAFE:
            origin = self.sessions.is_form_token(request, request.headers.get(FORM_TOKEN, ""))
        if origin is False:
            message = "A session counts only for pages of this very address. Scripts elsewhere need a token."
            raise RefusalError(403, Code.FORGED, message)


def _stranger(email: str) -> RefusalError:
    message = f"{email} belongs to no organisation here. Ask an owner for an invitation."
    return RefusalError(403, Code.NOT_A_MEMBER, message)
