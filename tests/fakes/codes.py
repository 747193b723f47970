"""Authorization codes with PKCE (RFC 6749, RFC 7636), as whoever signs people in gives and takes them."""

import base64
import hashlib
import secrets
from dataclasses import dataclass, field
from urllib.parse import parse_qs, urlencode, urlsplit


@dataclass
class Codes:
    """The codes that were given and not taken yet, each with what was asked for."""

    given: dict[str, dict[str, str]] = field(default_factory=dict[str, dict[str, str]])

    def give(self, address: str, page: str) -> tuple[dict[str, str], str]:
        """What a browser asks for that comes to the page for signing in, and where it is sent on to."""
        assert address.startswith(f"{page}?")
        asked = {name: values[0] for name, values in parse_qs(urlsplit(address).query).items()}
        assert asked["code_challenge_method"] == "S256"
        code = secrets.token_urlsafe(8)
        self.given[code] = asked
        return asked, f"{asked['redirect_uri']}?{urlencode({'code': code, 'state': asked['state']})}"

    def take(self, form: dict[str, str]) -> dict[str, str] | None:
        """What was asked for with the form's code, which counts once and with its verifier alone."""
        asked = self.given.pop(form.get("code", ""), None)
        digest = hashlib.sha256(form["code_verifier"].encode()).digest()
        challenge = base64.urlsafe_b64encode(digest).rstrip(b"=").decode()
        return asked if asked is not None and asked["code_challenge"] == challenge else None
