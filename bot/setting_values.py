"""Kinds of values that settings have, and what makes one unfit."""

import ipaddress
import re
from pathlib import Path
from typing import Annotated
from urllib.parse import urlsplit

from pydantic import AfterValidator, BeforeValidator, SecretStr
from pydantic_settings import NoDecode

_REGISTRY = re.compile(r"(\*\.)?([a-z0-9][a-z0-9-]*\.)*[a-z0-9][a-z0-9-]*(:[0-9]{1,5})?")
# What a server may listen on, and nobody can dial.
_LOOPBACK = ("localhost", "127.0.0.1", "::1")
_ANY = {"": "127.0.0.1", "*": "127.0.0.1", "0.0.0.0": "127.0.0.1", "::": "::1"}  # noqa: S104


def split(value: object) -> object:
    """The parts of a comma-separated text."""
    return [part.strip() for part in value.split(",") if part.strip()] if isinstance(value, str) else value


def absolute(path: Path) -> Path:
    """A path from the root."""
    return path.expanduser().absolute()


def address(value: str) -> str:
    """Where to listen. Raises `ValueError`."""
    host, colon, port = value.rpartition(":")
    if not colon or not port.isdigit() or not 0 <= int(port) <= 65535:
        raise ValueError(f"'{value}' is not an address; write HOST:PORT or :PORT, such as 127.0.0.1:8000")
    if host and host not in ("localhost", "*"):
        ipaddress.ip_address(host.strip("[]"))
    return value


def folder_url(value: str | None) -> str | None:
    """A folder's URL. Raises `ValueError`."""
    if value is not None and not value.startswith("file:///"):
        raise ValueError("write file:// and an absolute path; no other place is supported yet")
    return value


def safe_url(value: str | None) -> str | None:
    """An address on the web that nobody can listen in on. Raises `ValueError`."""
    if value is None:
        return None
    parts = urlsplit(value)
    if parts.scheme != "https" and (parts.scheme != "http" or parts.hostname not in _LOOPBACK):
        raise ValueError("write an address with https://")
    return value


def mail_url(value: SecretStr | None) -> SecretStr | None:
    """A mail server's URL. Raises `ValueError`."""
    if value is not None:
        parts = urlsplit(value.get_secret_value())
        if parts.scheme not in ("smtp", "smtps") or not parts.hostname:
            raise ValueError("write smtp://user:password@host:587, or smtps:// for TLS from the start")
        _ = parts.port
    return value


def registry_list(value: list[str]) -> list[str]:
    """Package registries. Raises `ValueError`."""
    for entry in value:
        host, _, network = entry.partition("=")
        if entry != "only" and _REGISTRY.fullmatch(host) is None:
            raise ValueError(f"'{entry}' is not HOST, *.HOST or HOST:PORT, such as npm.example.org")
        if network:
            ipaddress.ip_network(network)
    return value


def bound(address: str) -> tuple[str, int]:
    """Host and port to listen at; no host stands for every address of the machine."""
    host, _, port = address.rpartition(":")
    return ("" if host == "*" else host.strip("[]"), int(port))


def dialled(address: str) -> tuple[str, int]:
    """Where to reach, from this machine, what listens at an address."""
    host, port = bound(address)
    return (_ANY.get(host, host), port)


def reached(scheme: str, address: str) -> str:
    """The URL of what listens at an address, as this machine reaches it."""
    host, port = dialled(address)
    return f"{scheme}://[{host}]:{port}" if ":" in host else f"{scheme}://{host}:{port}"


Address = Annotated[str, AfterValidator(address)]
Network = ipaddress.IPv4Network | ipaddress.IPv6Network
Networks = Annotated[list[Network], NoDecode, BeforeValidator(split)]
Secrets = Annotated[list[SecretStr], NoDecode, BeforeValidator(split)]
