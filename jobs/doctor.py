"""What the worker's parts look like on this machine, as JSON for `slipway doctor`."""

import json
import os
import shutil
import subprocess
import sys
import time
from dataclasses import asdict

from bot.errors import SlipwayError
from bot.settings import Settings
from bot.store.engine import open_engine
from jobs.edge import find_caddy
from jobs.egress.proxy import Egress
from jobs.git.command import Git
from jobs.retention import rules
from jobs.sandbox.box import Box, Limits
from jobs.sandbox.choose import choose
from jobs.sandbox.profile import SYSTEM_PATH
from jobs.sites import Sites

_OPTIONAL = ("node", "npm", "pnpm", "yarn", "bun", "hugo")


def sandbox(settings: Settings) -> dict[str, str]:
    """Which sandbox builds run in."""
    try:
        chosen = choose(settings)
    except SlipwayError as error:
        advice = "Install bubblewrap, or set SLIPWAY_SANDBOX to auto."
        return {"part": "sandbox", "level": "error", "text": str(error), "advice": advice}
    if chosen.warning is None:
        return {"part": "sandbox", "level": "ok", "text": f"builds run in {chosen.name}"}
    advice = "Build only repositories that you trust, or make bubblewrap work here."
    return {"part": "sandbox", "level": "warning", "text": chosen.warning, "advice": advice}


def forks(settings: Settings) -> dict[str, str]:
    """Whether commits of forks can be built, and where they are shown."""
    try:
        reason = choose(settings).unfit or _walled(settings)
    except SlipwayError as error:
        reason = str(error)
    if reason is not None:
        advice = "Commits of forks are not built here; all others are."
        return {"part": "forks", "level": "warning", "text": f"no strict sandbox: {reason}", "advice": advice}
    domain = settings.domain_of_forks
    if domain is None:
        advice = "Set SLIPWAY_FORK_DOMAIN to a domain that shares no cookies with your sites."
        text = f"their previews have no domain beside {settings.preview_domain}, so they fail"
        return {"part": "forks", "level": "warning", "text": text, "advice": advice}
    if domain == settings.preview_domain and settings.fork_domain is not None:
        advice = (
            "Another domain for SLIPWAY_FORK_DOMAIN would keep strangers' pages from your sites' cookies."
        )
        text = f"their previews share {domain} with your sites"
        return {"part": "forks", "level": "warning", "text": text, "advice": advice}
    return {"part": "forks", "level": "ok", "text": f"built apart, shown below {domain}"}


def _walled(settings: Settings) -> str | None:
    """Why a box can't have registries alone, or None when one had."""
    sandbox = choose(settings)
    box = Box(
        name=f"check-forks-{os.getpid()}-{time.monotonic_ns()}",
        argv=["true"],
        directory="/",
        limits=Limits(seconds=10, memory=64, processes=16, file_size=1),
        mounts=[],
        environ={"PATH": SYSTEM_PATH},
        network=False,
        gate=Egress((), lambda _: None),
        user=sandbox.user(0),
    )
    outcome = sandbox.run(box, lambda _, __: None, lambda: False)
    return None if outcome.code == 0 else f"it ended with {outcome.code}"


def caddy(settings: Settings) -> dict[str, str]:
    """Which Caddy serves the sites."""
    try:
        binary = find_caddy(settings)
    except SlipwayError as error:
        return {"part": "caddy", "level": "error", "text": str(error)}
    shown = subprocess.run([binary, "version"], capture_output=True, text=True, check=False)
    level = "ok" if shown.returncode == 0 else "error"
    return {"part": "caddy", "level": level, "text": f"{binary}: {shown.stdout.split(' ')[0].strip()}"}


def builders() -> dict[str, str]:
    """Which tools builds find."""
    found = [tool for tool in _OPTIONAL if shutil.which(tool)]
    if found:
        return {"part": "builders", "level": "ok", "text": ", ".join(found)}
    advice = "Install what your repositories are built with; plain HTML needs nothing."
    return {"part": "builders", "level": "warning", "text": "No node, no hugo.", "advice": advice}


def disk(settings: Settings) -> list[dict[str, str | int]]:
    """What every part that grows holds. Raises `StoreError` when the store can't be read."""
    engine = open_engine(settings.database)
    git = Git(settings.home / "mirrors")
    retention = rules.make(settings, engine, git=git, sites=Sites(settings.edge_home))
    return [asdict(part) for part in retention.look()]


def main() -> None:
    """Print every finding; with `--disk`, every part that grows."""
    settings = Settings()
    if "--disk" in sys.argv[1:]:
        sys.stdout.write(json.dumps(disk(settings)))
        return
    sys.stdout.write(json.dumps([sandbox(settings), forks(settings), caddy(settings), builders()]))


if __name__ == "__main__":
    main()
