"""Which packages of a repository an app needs: workspaces of pnpm, npm, yarn, bun and uv. Pure.

Told by the manifests alone. Where they leave it open, more is needed rather than less: a name that
is a member's means the member, whatever version is asked for.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from pathspec import PathSpec

from bot.intake.paths import Scope, shown_path
from jobs.package_manifests import Kind, Manifest, Manifests, is_below


@dataclass(frozen=True)
class _Workspace:
    """Packages that are linked to each other, by name, and the one that they are below."""

    top: Manifest
    members: Mapping[str, Manifest]
    folders: frozenset[str]


def scope_of(root: str, manifests: Manifests) -> Scope:
    """Where the sources of an app are that lives in the folder `root`."""
    if not root:
        return Scope()
    if manifests.unread:
        return Scope(root, unsure=f"{manifests.unread}, so what {root} needs is not known")
    own = [one for one in manifests.packages if is_below(one.folder, root)] or _owner(root, manifests)
    tops = [one for one in manifests.workspaces if is_below(root, one.folder) or is_below(one.folder, root)]
    spaces = [_workspace(top, manifests) for top in tops]
    mine = [space for space in spaces if any(_has(space, one) for one in own)]
    unreadable = _unreadable(root, manifests, mine)
    if unreadable:
        return Scope(
            root, unsure=f"{shown_path(unreadable)} can't be read, so what {root} needs is not known"
        )
    walk = _Walk(root, mine, manifests)
    walk.go(own)
    above = [space.top.folder for space in mine if not is_below(space.top.folder, root)]
    return Scope(root, walk.needs, min(above, key=len, default=None), walk.unsure)


def _owner(root: str, manifests: Manifests) -> list[Manifest]:
    """The package that a folder without a manifest is a part of, unless it is the repository's top."""
    above = [one for one in manifests.packages if one.folder and is_below(root, one.folder)]
    nearest = max((one.folder for one in above), key=len, default="")
    return [one for one in above if one.folder == nearest and not one.members]


def _workspace(top: Manifest, manifests: Manifests) -> _Workspace:
    members = [one for one in manifests.packages if one.kind is top.kind and _is_member(one, top)]
    named = {one.name: one for one in members if one.name}
    return _Workspace(top, named, frozenset(one.folder for one in members))


def _has(space: _Workspace, package: Manifest) -> bool:
    return package.kind is space.top.kind and package.folder in space.folders


def _is_member(package: Manifest, top: Manifest) -> bool:
    if package.folder == top.folder:
        return True
    inner = package.folder.removeprefix(top.folder).strip("/")
    return is_below(package.folder, top.folder) and _matches(top.members, inner)


def _matches(patterns: Sequence[str], folder: str) -> bool:
    """Whether globs name a folder. Folders inside of a named one count, too."""
    rooted = [
        f"{'!' if pattern.startswith('!') else ''}/{pattern.removeprefix('!').removeprefix('./').strip('/')}"
        for pattern in patterns
    ]
    try:
        return PathSpec.from_lines("gitignore", rooted).match_file(folder)
    except ValueError:
        return True


def _unreadable(root: str, manifests: Manifests, mine: Sequence[_Workspace]) -> str | None:
    """A manifest that may matter to the app, and that can't be read."""
    for path in manifests.unreadable:
        folder = path.rpartition("/")[0]
        inside = any(_is_member(Manifest(folder, space.top.kind), space.top) for space in mine)
        if inside or is_below(folder, root) or is_below(root, folder):
            return path
    return None


class _Walk:
    """Goes from an app's own packages to all that they need."""

    def __init__(self, root: str, spaces: Sequence[_Workspace], manifests: Manifests) -> None:
        self._root = root
        self._spaces = spaces
        self._packages = manifests.packages
        self.needs: dict[str, str] = {}
        self.unsure = ""

    def go(self, own: Iterable[Manifest]) -> None:
        """Find everything; each package is looked at once."""
        waiting = [(one, self._root, "") for one in own]
        # What the workspace's own folder asks for is installed where all of its members find it.
        tops = (one.top for one in self._spaces if one.top.kind is Kind.JAVASCRIPT)
        waiting += [(one, f"the workspace that {self._root} is in", "") for one in tops]
        seen: set[Manifest] = set()
        for package, who, through in waiting:
            if package in seen:
                continue
            seen.add(package)
            for folder in self._needed(package):
                self._add(folder, f"{who} needs {shown_path(folder)}{through}")
                onwards = f" through {shown_path(folder)}"
                waiting += [(one, self._root, onwards) for one in self._packages if one.folder == folder]

    def _needed(self, package: Manifest) -> Iterator[str]:
        yield from sorted(package.folders)
        for space in self._spaces:
            if _has(space, package):
                yield from sorted(
                    member.folder for name in package.names if (member := space.members.get(name)) is not None
                )

    def _add(self, folder: str, why: str) -> None:
        if not folder:
            self.unsure = f"{self._root} needs the package at the repository's top"
        elif not is_below(folder, self._root):
            self.needs.setdefault(folder, why)
