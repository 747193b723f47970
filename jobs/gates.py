"""Who may pass where a hostname is protected: a file per hostname, which the edge reads at each visit.

It lies in the edge's folder, so that the edge needs no store to refuse anybody.
"""

import os
import secrets
import time
from collections.abc import Mapping
from pathlib import Path

import msgspec
from msgspec import Struct

from bot.domain.hostname import is_hostname
from bot.domain.ids import AppId, EnvironmentId, ShareLinkId
from bot.domain.sharing import scope_of

_DRAFTED = 60.0


class Gate(Struct, frozen=True):
    """Whose hostname it is, and which links were revoked. `login`: no link opens it, one must sign in."""

    app: AppId
    environments: tuple[EnvironmentId, ...]
    login: bool
    revoked: tuple[ShareLinkId, ...] = ()

    @property
    def scopes(self) -> list[str]:
        """Scopes of links that open it."""
        return [scope_of(self.app, None), *(scope_of(self.app, one) for one in self.environments)]


class Gates:
    """The gates below `edge_home`. Any process may write them."""

    def __init__(self, edge_home: Path) -> None:
        self._folder = edge_home / "gates"
        self._folder.mkdir(parents=True, exist_ok=True)

    def get(self, hostname: str) -> Gate | None:
        """The gate of a hostname; None when there is none that can be read: then nobody may pass."""
        if not is_hostname(hostname):
            return None
        try:
            return msgspec.json.decode((self._folder / hostname).read_bytes(), type=Gate)
        except (FileNotFoundError, msgspec.DecodeError):
            return None

    def put(self, hostname: str, gate: Gate) -> None:
        """Set a hostname's gate, whole or not at all."""
        if self.get(hostname) == gate:
            return
        draft = self._folder / f".{secrets.token_hex(8)}"
        with draft.open("wb") as file:
            file.write(msgspec.json.encode(gate))
            file.flush()
            os.fsync(file.fileno())
        draft.replace(self._folder / hostname)

    def reconcile(self, wanted: Mapping[str, Gate]) -> None:
        """Have these gates and no others."""
        for hostname, gate in wanted.items():
            self.put(hostname, gate)
        for path in list(self._folder.iterdir()):
            if path.name not in wanted and not (path.name.startswith(".") and _is_young(path)):
                path.unlink(missing_ok=True)


def _is_young(path: Path) -> bool:
    # Another process is about to give a draft its name, unless it died.
    try:
        return time.time() - path.stat().st_mtime < _DRAFTED
    except FileNotFoundError:
        return False
