"""Where outgoing messages may go: the public internet, and private networks that the operator allows.

A name is resolved, every address checked, and that very address dialled: a name that changes its mind
in between (DNS rebinding) gains nothing.
"""

import socket
from collections.abc import Sequence

from jobs.public import Network, address, is_public


class UnreachableError(OSError):
    """There is no address that may be dialled; the text says why."""


def may_reach(text: str, allowed: Sequence[Network]) -> bool:
    """Whether an address, of version 4 or 6, is public or in an allowed network."""
    found = address(text)
    return is_public(found) or any(found in network for network in allowed)


def addresses(host: str, port: int, allowed: Sequence[Network]) -> list[str]:
    """The addresses of a host that may be dialled. Raises `UnreachableError` when there is none."""
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError) as error:
        raise UnreachableError(f"the name {host} is not known") from error
    every = list(dict.fromkeys(str(one[4][0]) for one in found))
    good = [one for one in every if may_reach(one, allowed)]
    if not good:
        raise UnreachableError(
            f"{host} is at a private address, which the setting OUTGOING_NETWORKS does not allow"
        )
    return good
