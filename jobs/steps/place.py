"""Where a build takes place: a copy of the files, which it may change."""

import time
from dataclasses import dataclass
from pathlib import Path

from bot.domain.deployment import Phase
from jobs.copying import copy_folder, hand_over
from jobs.steps.context import Context, Source


@dataclass(frozen=True)
class Site:
    """Where a build takes place: its copy of the tree, the root in it, its home, and whom they belong to."""

    tree: Path
    root: Path
    home: Path
    user: int | None


def lay_out(context: Context, source: Source, user: int | None) -> Site:
    """Copy what is built to where it is built."""
    started = time.monotonic()
    tree, home = context.workspace / "tree", context.workspace / "home"
    # Never in the kept tree: a build could change what later deployments are made of.
    copy_folder(source.tree, tree, context.stopped)
    home.mkdir()
    for folder in (tree, home):
        hand_over(folder, user)
    context.log.say(Phase.BUILD, f"copied the files in {time.monotonic() - started:.1f} s")
    return Site(tree, tree / source.root.relative_to(source.tree), home, user)
