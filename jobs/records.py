"""Asks DNS for TXT records."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import dns.exception
import dns.nameserver
import dns.resolver

from bot.domain.custom_domain import Silent, Texts

SECONDS = 5.0
"""How long a question may take, with all its repetitions."""
_PORT = 53


@dataclass(frozen=True)
class Records:
    """DNS as some name servers, each an address with a port perhaps, tell it; without any the machine's."""

    servers: Sequence[str]

    def texts(self, name: str) -> Texts | Silent:
        """The TXT records of a name."""
        try:
            answer = self._resolver().resolve(name, "TXT", lifetime=SECONDS, search=False)
        except (dns.resolver.NXDOMAIN, dns.resolver.NoAnswer):
            return Texts(())
        except (dns.exception.DNSException, OSError) as error:
            return Silent(" ".join(str(error).split())[:200] or type(error).__name__)
        rows: list[Any] = list(answer.rrset or ())
        return Texts([b"".join(row.strings).decode(errors="replace").strip() for row in rows])

    def _resolver(self) -> dns.resolver.Resolver:
        resolver = dns.resolver.Resolver(configure=not self.servers)
        if self.servers:
            placed = [_place(server) for server in self.servers]
            resolver.nameservers = [dns.nameserver.Do53Nameserver(host, port) for host, port in placed]
        return resolver


def _place(server: str) -> tuple[str, int]:
    host, colon, port = server.rpartition(":")
    if not colon or (":" in host and not host.startswith("[")):
        return server.strip("[]"), _PORT
    return host.strip("[]"), int(port)
