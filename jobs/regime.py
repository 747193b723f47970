"""What the commands of a build may use: limits, network and disk, by how far their code is trusted."""

import os
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from bot.domain.trust import Trust
from bot.settings import Settings
from jobs.egress import rules
from jobs.egress.proxy import Egress
from jobs.sandbox.box import GATE, MIB, Limits

_BLOCK = 512
_ENTRY = 4096
_PAUSE_SECONDS = 1.0
_SHARE = 10
_ENDLESS = 1 << 62


@dataclass(frozen=True)
class Regime:
    """The rules for one build. With `gate` it has no network but what that lets through; `disk` in MiB."""

    limits: Limits
    gate: Egress | None = None
    disk: int | None = None

    @property
    def is_strict(self) -> bool:
        """Whether the code is a stranger's."""
        return self.gate is not None

    def variables(self) -> dict[str, str]:
        """What tells programs the way out, as each of them wants it told."""
        if self.gate is None:
            return {}
        host, port = GATE
        way, near = f"http://{host}:{port}", "localhost,127.0.0.1,::1"
        names = (
            *("HTTP_PROXY", "HTTPS_PROXY", "http_proxy", "https_proxy"),
            *("npm_config_proxy", "npm_config_https_proxy", "YARN_HTTP_PROXY", "YARN_HTTPS_PROXY"),
        )
        return {**dict.fromkeys(names, way), "NO_PROXY": near, "no_proxy": near, "NODE_USE_ENV_PROXY": "1"}

    def watch_over(self, folders: Sequence[Path]) -> "DiskWatch":
        """What watches the files that the build writes."""
        return DiskWatch(folders, None if self.disk is None else self.disk * MIB)


def regime_of(settings: Settings, trust: Trust, say: Callable[[str], None]) -> Regime:
    """The regime for code that is trusted so far; `say` is told of each host that was refused."""
    if trust is Trust.FULL:
        return Regime(
            Limits(
                seconds=settings.build_timeout,
                memory=settings.build_memory,
                processes=settings.build_processes,
                file_size=settings.build_output,
            )
        )
    return Regime(
        Limits(
            seconds=min(settings.fork_timeout, settings.build_timeout),
            memory=min(settings.fork_memory, settings.build_memory),
            processes=min(settings.fork_processes, settings.build_processes),
            file_size=min(settings.fork_disk, settings.build_output),
        ),
        gate=Egress(rules.parse(settings.registries), say),
        disk=settings.fork_disk,
    )


class DiskWatch:
    """Whether a build has written more than it may, looked at now and then; never, without a limit."""

    def __init__(self, folders: Sequence[Path], limit: int | None) -> None:
        self._folders = folders
        self._limit = limit or 0
        self._most = None if limit is None else limit + min(self._taken(_ENDLESS), _ENDLESS // 2)
        self._free = _free(folders)
        self._due = 0.0
        self.is_over = False

    def glance(self) -> bool:
        """Look, unless that was done a moment ago: looking takes at most a tenth of the time."""
        now = time.monotonic()
        if self._most is not None and not self.is_over and now >= self._due:
            self.look()
            took = time.monotonic() - now
            self._due = time.monotonic() + max(_PAUSE_SECONDS, _SHARE * took)
        return self.is_over

    def look(self) -> bool:
        """Look now."""
        if self._most is not None:
            self.is_over = self.is_over or self._taken(self._most) > self._most or self._hides()
        return self.is_over

    def _hides(self) -> bool:
        """Whether the disk fills though no file grows, as by files that were removed while they are open."""
        free = _free(self._folders)
        return free < self._free / 2 and self._free - free > self._limit

    def _taken(self, enough: int) -> int:
        """Bytes on disk; empty files count, too, since a disk has room for so many of them."""
        total = 0
        for size in _sizes(self._folders):
            total += size
            if total > enough:
                break
        return total


def _sizes(folders: Sequence[Path]) -> Iterator[int]:
    waiting = [str(folder) for folder in folders]
    while waiting:
        try:
            with os.scandir(waiting.pop()) as entries:
                for entry in entries:
                    if entry.is_dir(follow_symlinks=False):
                        waiting.append(entry.path)
                    yield _ENTRY + entry.stat(follow_symlinks=False).st_blocks * _BLOCK
        except (FileNotFoundError, NotADirectoryError):
            # Removed meanwhile.
            continue
        except OSError:
            # Too deep, or closed to us: whoever hides files is taken to have too many of them.
            yield _ENDLESS


def _free(folders: Sequence[Path]) -> int:
    found = [os.statvfs(folder) for folder in folders]
    return min((one.f_bavail * one.f_frsize for one in found), default=0)
