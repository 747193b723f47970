"""Which hosts builds of strangers may reach, and at which addresses. Pure."""

import ipaddress
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from jobs.public import Address, Network, address, is_public

DEFAULT = (
    "registry.npmjs.org",
    "registry.yarnpkg.com",
    "repo.yarnpkg.com",
    "pypi.org",
    "files.pythonhosted.org",
    "rubygems.org",
    "index.rubygems.org",
    "index.crates.io",
    "static.crates.io",
    "proxy.golang.org",
    "sum.golang.org",
)
"""The usual registries. Hosts of git are not among them: anybody's files are there."""
ONLY = "only"
"""The entry that leaves the usual ones out."""

_WEB, _TLS = 80, 443
_HOST = re.compile(r"(?:[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?\.)*[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?")


class RefusedError(Exception):
    """A host that is not let through. The message says which and why, for people."""


@dataclass(frozen=True)
class Registry:
    """One host, or with `wide` all hosts below it; its port, or None for the two of the web.

    Addresses that are not public are let through in `network` alone, which the operator wrote down.
    """

    host: str
    wide: bool = False
    port: int | None = None
    network: Network | None = None

    def covers(self, host: str, port: int) -> bool:
        """Whether this is what a build asks for."""
        named = host.endswith(f".{self.host}") if self.wide else host == self.host
        return named and (port == self.port if self.port is not None else port in (_WEB, _TLS))

    def lets(self, found: Address) -> bool:
        """Whether the host may have that address."""
        return found in self.network if self.network is not None else is_public(found)


def parse(entries: Iterable[str]) -> tuple[Registry, ...]:
    """The registries of the setting, before the usual ones; `ValueError` for an entry that is none."""
    given = list(entries)
    own = [_registry(entry) for entry in given if entry != ONLY]
    return (*own, *(() if ONLY in given else map(Registry, DEFAULT)))


def find(
    registries: Sequence[Registry], target: str, *, port: int | None = None
) -> tuple[str, int, Registry]:
    """The host, the port and the registry of a target `HOST[:PORT]`. Raises `RefusedError`.

    Only plain names are compared, so that no other spelling of an address or a name gets through.
    """
    name, colon, digits = target.rpartition(":")
    if not colon:
        name, digits = target, "" if port is None else str(port)
    host = name.lower().removesuffix(".")
    if len(digits) > 5 or not digits.isascii() or not digits.isdigit() or not _HOST.fullmatch(host):
        raise RefusedError(f"'{_shown(target)}' is not HOST:PORT")
    for registry in registries:
        if registry.covers(host, int(digits)):
            return host, int(digits), registry
    raise RefusedError(f"{host}:{int(digits)} is not a package registry")


def choose(registry: Registry, host: str, answers: Iterable[str]) -> list[str]:
    """The addresses to dial, of those that a name has. Raises `RefusedError` when one is not allowed.

    One that is refused spoils all: who answers with a private address beside a public one is not to be
    trusted with the other.
    """
    found = list(dict.fromkeys(answers))
    for answer in found:
        if not registry.lets(address(answer)):
            raise RefusedError(f"{host} has the address {answer}, which is not a public one")
    if not found:
        raise RefusedError(f"{host} has no address")
    return found


def _registry(entry: str) -> Registry:
    place, _, network = entry.partition("=")
    host, colon, port = place.partition(":")
    name = host.removeprefix("*.").lower()
    if not _HOST.fullmatch(name):
        raise ValueError(f"'{entry}' is not a host")
    return Registry(
        name,
        wide=host.startswith("*."),
        port=int(port) if colon else None,
        network=ipaddress.ip_network(network) if network else None,
    )


def _shown(target: str) -> str:
    return "".join(letter if letter.isprintable() else "?" for letter in target[:80])
