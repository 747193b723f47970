"""Who calls: a token, a person's ID token or session, or whoever holds the instance's own key.

Who guesses is answered with a growing pause.
"""

from collections.abc import Callable
from contextlib import nullcontext, suppress

from starlette.requests import Request

from bot.api.refusals import Code, RefusalError
from bot.api.visitors import Visitors
from bot.attempts import Attempts
from bot.clock import Clock, utc_now
from bot.domain.roles import APP_VERBS, VERBS_OF, Principal, Verb, operator
from bot.minted import OF_APP, PERSONAL, fits, read
from bot.oidc import IdTokenError, Wrong, looks_like_one
from bot.store import tokens
from bot.store.due import is_use_due
from bot.store.engine import Engine, StoreError, Tx, reading, writing
from bot.store.tokens import Holder, Token

_ASK = {"WWW-Authenticate": 'Bearer realm="slipway"'}


class Gate:
    """Tells who calls. `is_operator` says whether a request carries the instance's own key or its cookie."""

    def __init__(
        self,
        engine: Engine,
        *,
        is_operator: Callable[[Request], bool],
        visitors: Visitors,
        clock: Clock = utc_now,
    ) -> None:
        self._engine = engine
        self._visitors = visitors
        self._is_operator = is_operator
        self._clock = clock
        self._attempts = Attempts()

    def identify(self, request: Request, tx: Tx | None = None) -> Principal:
        """The caller. Raises `RefusalError` 401, or 429 after several wrong tokens from one address.

        Tokens are looked up in the transaction that is given, else in one of their own.
        """
        scheme, _, presented = request.headers.get("authorization", "").partition(" ")
        presented = presented.strip()
        if token := read(presented, PERSONAL, OF_APP) if scheme.lower() == "bearer" else None:
            with nullcontext(tx) if tx is not None else reading(self._engine) as there:
                return self._holder_of(there, *token, address=_address(request))
        # Whoever has the key gets in: others behind the same proxy must not be able to keep the operator out.
        if self._is_operator(request):
            return operator("operator", "the instance's operator")
        if presented and looks_like_one(presented):
            return self._person(request, presented)
        if presented:
            self._check_pause(_address(request))
            self._attempts.failed(_address(request))
            raise _unauthorized("This is not a token of this instance. Tokens begin with 'slp_' or 'sld_'.")
        if (visitor := self._visitors.by_session(request)) is not None:
            return visitor
        raise _unauthorized(
            "Send a token: 'Authorization: Bearer slp_...'. `slipway token create` makes the first one."
        )

    def _person(self, request: Request, presented: str) -> Principal:
        """Who has an ID token. Those that are valid are never locked out by others' that are not."""
        try:
            return self._visitors.by_id_token(request, presented)
        except IdTokenError as error:
            if error.code is Wrong.INVALID:
                self._check_pause(_address(request))
                self._attempts.failed(_address(request))
            raise RefusalError(401, error.code, str(error), headers=_ASK) from error

    def _holder_of(self, tx: Tx, handle: str, secret: str, *, address: str) -> Principal:
        found = tokens.bearer(tx, handle)
        token = found[0] if found else None
        principal = _principal(*found) if found else None
        # By handle, too: who guesses at one token must not lock out others behind the same proxy.
        guesser = f"{address} {handle}" if token else address
        self._check_pause(guesser)
        if token is None or not fits(secret, token.digest):
            self._attempts.failed(guesser)
            raise _unauthorized("There is no such token. It may have been copied incompletely.")
        self._check_validity(token, has_member=principal is not None)
        assert principal is not None
        self._note_use(token)
        return principal

    def _check_pause(self, guesser: str) -> None:
        if pause := self._attempts.pause(guesser):
            seconds = int(pause) + 1
            message = f"Too many wrong tokens came from your address. Try again in {seconds} seconds."
            raise RefusalError(429, Code.LOCKED_OUT, message, headers={"Retry-After": str(seconds)})

    def _check_validity(self, token: Token, *, has_member: bool) -> None:
        if token.revoked_at is not None:
            message = f"The token '{token.name}' was revoked. Make another one."
            raise RefusalError(401, Code.TOKEN_REVOKED, message, headers=_ASK)
        if token.expires_at is not None and token.expires_at <= self._clock():
            message = (
                f"The token '{token.name}' ended at {token.expires_at:%Y-%m-%d %H:%M} UTC. Make another one."
            )
            raise RefusalError(401, Code.TOKEN_EXPIRED, message, headers=_ASK)
        if not has_member:
            raise _unauthorized(f"The holder of the token '{token.name}' is no member any more.")

    def _note_use(self, token: Token) -> None:
        now = self._clock()
        if is_use_due(token.last_used_at, now):
            # Nobody is kept out because it could not be noted.
            with suppress(StoreError), writing(self._engine) as tx:
                tokens.note_use(tx, token.id, now)


def _principal(token: Token, holder: Holder | None) -> Principal | None:
    """Whom a token makes of its bearer; None when its holder is no member any more."""
    key = f"token:{token.id}"
    if token.app_id is not None:
        verbs = APP_VERBS & (token.scopes if token.scopes is not None else APP_VERBS)
        return Principal(key, f"the deploy token '{token.name}'", verbs, token.tenant_id, token.app_id)
    if holder is None or holder.role is None:
        return None
    own = VERBS_OF[holder.role]
    verbs = own & (token.scopes if token.scopes is not None else frozenset(Verb))
    return Principal(key, holder.email, verbs, token.tenant_id, user_id=token.user_id)


def _unauthorized(message: str) -> RefusalError:
    return RefusalError(401, Code.UNAUTHORIZED, message, headers=_ASK)


def _address(request: Request) -> str:
    return request.client.host if request.client else ""
