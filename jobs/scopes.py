"""Where the sources of an app are in a commit, read from the mirror without a checkout."""

import hashlib
import json

from bot.domain.app import App
from bot.domain.ids import Sha
from bot.intake.paths import CONFIGURATION_FOLDERS, Scope, configures, shown_path
from jobs.files import MAX_BYTES, CommitFiles
from jobs.git import Mirrors
from jobs.git.command import TooMuchError
from jobs.package_manifests import MANIFESTS, Manifests, read_manifests
from jobs.recipes import Lay, lay_of
from jobs.workspaces import scope_of

MAX_MANIFESTS = 3000
MAX_TOTAL_BYTES = 32 * 1024 * 1024


def lay_in(mirrors: Mirrors, app: App, sha: Sha) -> Lay:
    """Where the app lives in a commit."""
    return lay_of(CommitFiles(mirrors, app, sha), app)


def manifests_in(mirrors: Mirrors, app: App, sha: Sha) -> Manifests:
    """The packages of a commit. Bounded: when there is too much to read, none is known and it says so."""
    try:
        found = mirrors.find(app, sha, MANIFESTS)
    except TooMuchError:
        return Manifests(unread="there are too many files to look at")
    large = [entry for entry in found if entry.size > MAX_BYTES]
    if large:
        return Manifests(unread=f"{shown_path(large[0].path)} is too large")
    if len(found) > MAX_MANIFESTS or sum(entry.size for entry in found) > MAX_TOTAL_BYTES:
        return Manifests(unread=f"there are {len(found)} manifests")
    return read_manifests(mirrors.contents(app, found))


def scope_in(mirrors: Mirrors, app: App, sha: Sha, root: str) -> Scope:
    """What an app that lives in `root` is made of."""
    return scope_of(root, manifests_in(mirrors, app, sha)) if root else Scope()


def digest_of(mirrors: Mirrors, app: App, sha: Sha, scope: Scope) -> str | None:
    """A name of the content that a build of the app may see; None when the root directory is not there.

    Of an app that needs nothing outside of its root directory, that is git's id of the directory.
    """
    tree = mirrors.tree_id(app, sha, scope.root)
    if tree is None or scope.unsure or any("\n" in folder for folder in scope.needs):
        return tree and mirrors.tree_id(app, sha)
    if not scope.needs and scope.workspace is None:
        return tree
    parts = mirrors.contents_ids(app, sha, sorted(scope.needs))
    if scope.workspace is not None:
        for entry in mirrors.entries(app, sha, scope.workspace):
            name = entry.path.rpartition("/")[2]
            if configures(name) or name in CONFIGURATION_FOLDERS:
                parts[entry.path] = entry.id
    named = json.dumps([tree, parts], sort_keys=True)
    return hashlib.sha256(named.encode()).hexdigest()
