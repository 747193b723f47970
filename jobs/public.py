"""Which addresses belong to the public Internet: one rule for all that is dialled for somebody else. Pure."""

import ipaddress

Address = ipaddress.IPv4Address | ipaddress.IPv6Address
Network = ipaddress.IPv4Network | ipaddress.IPv6Network

# NAT64 (RFC 6052, RFC 8215): an IPv4 address in the last 32 bits.
_NAT64 = (ipaddress.ip_network("64:ff9b::/96"), ipaddress.ip_network("64:ff9b:1::/48"))


def address(text: str) -> Address:
    """The address that a text means in the end: the IPv4 address, where one of IPv6 only stands for it.

    Raises `ValueError` when it is none. A zone (`fe80::1%eth0`) is left out.
    """
    found = ipaddress.ip_address(text.partition("%")[0])
    if isinstance(found, ipaddress.IPv4Address):
        return found
    if any(found in network for network in _NAT64):
        return ipaddress.IPv4Address(int(found) & 0xFFFFFFFF)
    return found.ipv4_mapped or found.sixtofour or found


def is_public(found: Address) -> bool:
    """Whether anybody on the Internet may have that address."""
    # Of IPv6, `is_global` takes site-local ones and those that stand for IPv4 (::10.0.0.1) for public.
    local = found.is_reserved or found.is_multicast or getattr(found, "is_site_local", False)
    return found.is_global and not local
