"""Hostnames: what can be one, and what can't be somebody's own."""

import re

_LABEL = r"[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?"
_HOSTNAME = re.compile(rf"(?=.{{1,253}}\Z)(?:{_LABEL}\.)*{_LABEL}")
# Room for a challenge in front of it, and for the name of a file that names it.
_LONGEST_OWN = 180
_RESERVED = ("localhost", "local", "internal", "invalid", "test", "onion", "arpa")


def is_hostname(text: str) -> bool:
    """Whether the text is a plain lower-case hostname, safe as the name of a folder."""
    return _HOSTNAME.fullmatch(text) is not None


def plain_hostname(text: str) -> str | None:
    """A hostname as DNS has it: lower case, without a final dot, letters beyond ASCII encoded (RFC 3490).

    None for what can't be a hostname of the public DNS with room for a challenge below it.
    """
    try:
        name = text.strip().removesuffix(".").lower().encode("idna").decode()
    except UnicodeError:
        return None
    last = name.rpartition(".")[2]
    is_public = "." in name and not last.isdigit() and len(name) <= _LONGEST_OWN
    return name if is_public and is_hostname(name) and "_" not in name else None


def is_below(name: str, domain: str) -> bool:
    """Whether a hostname is a domain, or lies below it."""
    return name == domain or name.endswith(f".{domain}")


def objection(name: str, *, preview_domain: str, own: str) -> str | None:
    """Why a hostname can't be a custom domain here; None if it can. `own` is this instance's hostname."""
    if is_below(name, preview_domain):
        return f"{preview_domain} and all below it is given out by Slipway itself."
    if name == own:
        return f"{own} is this instance's own address."
    if any(is_below(name, word) for word in _RESERVED):
        return f"Names below '{name.rpartition('.')[2]}' are not part of the public DNS."
    return None


def counterpart(name: str) -> str:
    """The other one of a pair: `www.example.org` of `example.org`, and the other way round."""
    return name.removeprefix("www.") if name.startswith("www.") else f"www.{name}"
