"""Where outgoing messages may go: the public internet, and private networks that the operator allows.

A name is resolved, every address checked, and that very address dialled: a name that changes its mind
in between (DNS rebinding) gains nothing.
"""

import ipaddress
import socket
from collections.abc import Sequence

Network = ipaddress.IPv4Network | ipaddress.IPv6Network
_NAT64 = ipaddress.IPv6Network("64:ff9b::/96")


class UnreachableError(OSError):
    """There is no address that may be dialled; the text says why."""


def may_reach(address: str, allowed: Sequence[Network]) -> bool:
    """Whether an address, of version 4 or 6, is public or in an allowed network."""
    found = ipaddress.ip_address(address.partition("%")[0])
    if isinstance(found, ipaddress.IPv6Address) and (inner := _inner(found)) is not None:
        return may_reach(str(inner), allowed)
    if any(found in network for network in allowed):
        return True
    return found.is_global and not found.is_multicast and not found.is_reserved


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


def _inner(address: ipaddress.IPv6Address) -> ipaddress.IPv4Address | None:
    """The address of version 4 that one of version 6 stands for."""
    if address in _NAT64:
        return ipaddress.IPv4Address(int(address) & 0xFFFFFFFF)
    return address.ipv4_mapped or address.sixtofour
