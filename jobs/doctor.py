"""What the worker's parts look like on this machine, as JSON for `slipway doctor`."""

import json
import shutil
import subprocess
import sys
from dataclasses import asdict

from bot.errors import SlipwayError
from bot.settings import Settings
from bot.store.engine import open_engine
from jobs.edge import find_caddy
from jobs.git.command import Git
from jobs.retention import rules
from jobs.sandbox.choose import choose
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
    sys.stdout.write(json.dumps([sandbox(settings), caddy(settings), builders()]))


if __name__ == "__main__":
    main()
