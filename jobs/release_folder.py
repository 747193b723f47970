"""Lays a release out for the edge: its files, and its `_redirects` and `_headers` compiled to rules."""

from pathlib import Path

from bot.domain.ids import Digest
from jobs import site_rules
from jobs.artifacts.folders import SharedFolders
from jobs.artifacts.materialise import materialise, read_manifest
from jobs.artifacts.store import ArtifactStore
from jobs.site_rules import RuleWarning


def lay_out(artifacts: ArtifactStore, manifest: Digest, target: Path) -> list[RuleWarning]:
    """Make the release's folder, unless it is there; lines of its rules that are not supported.

    Raises `FileNotFoundError` when artifacts are gone, `DamagedError` when they are not what they were.
    Files that the edge has already are enough.
    """
    if target.is_dir() and not artifacts.has(manifest):
        return []
    found = read_manifest(artifacts, manifest)
    shared = shared_by(target.parent)
    if found.redirects is None and found.headers is None:
        materialise(artifacts, manifest, target, shared=shared)
        return []
    rules, warnings = site_rules.parse(_text(artifacts, found.redirects), _text(artifacts, found.headers))
    materialise(artifacts, manifest, target, rules=site_rules.to_json(rules), shared=shared)
    return warnings


def shared_by(releases: Path) -> SharedFolders:
    """The folders that the releases below a folder share."""
    return SharedFolders(releases.with_name("folders"))


def has_rules(folder: Path) -> bool:
    """Whether the edge must ask for the rules of the release laid out there."""
    return (folder / "rules.json").exists()


def brings_rules(artifacts: ArtifactStore, manifest: Digest) -> bool:
    """Whether a release will have rules once it is laid out. Raises what `lay_out` does."""
    found = read_manifest(artifacts, manifest)
    return found.redirects is not None or found.headers is not None


def _text(artifacts: ArtifactStore, digest: Digest | None) -> str:
    return "" if digest is None else artifacts.read(digest).decode(errors="replace")
