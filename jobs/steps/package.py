"""Turns a build's output directory into an immutable, content-addressed release."""

import errno
import os
import time
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path, PurePath

from bot.domain.contents import File, Manifest, encode
from bot.domain.deployment import Phase
from bot.domain.ids import Digest
from bot.errors import ErrorCode, PlatformError, UserError
from jobs.artifacts import clear_text, index
from jobs.artifacts.packing import Packing, pack
from jobs.artifacts.store import ArtifactStore, Batch
from jobs.artifacts.tree import ChangedError, Seen, TooManyEntriesError, Tree, scan
from jobs.artifacts.variants import Variants
from jobs.steps.context import Context, Plan

_SAID_IN_FULL = 20
# Letters from which on a secret in a file can't be there by chance.
_CERTAIN = 12
_NO_SPACE = (errno.ENOSPC, errno.EDQUOT)


@dataclass(frozen=True)
class Packed:
    """A release's content. `size` counts the published bytes, `new_*` what the store lacked before."""

    manifest: Digest
    files: int
    size: int
    new_files: int
    new_bytes: int


def run(context: Context, output: Path, plan: Plan, artifacts: ArtifactStore) -> Packed:
    """Pack the output directory, `plan.output` below the app's root; nothing writes there any more.

    Raises `UserError` for an output that is missing, empty or above the limits, `PlatformError` when the
    disk is full, `StoppedError`. A secret in clear text is a `UserError` SECRET_PUBLISHED.
    """
    root = _real_root(context, output, plan)
    scanned = time.time_ns()
    with _troubles_named(context):
        tree = _scan(context, root)
    _say_left_out(context, tree.left_out)
    _check_limits(context, tree)
    is_source = not plan.install and not plan.build
    if not is_source:
        with _troubles_named(context):
            _keep_secrets_in(context, root, tree)
    remembered = index.path_of(context.settings.home / "caches", context.environment.id)
    with _troubles_named(context):
        with artifacts.batch() as batch:
            last = index.recall(remembered, batch)
            same = last.unchanged(tree.files) if is_source else {}
            variants = Variants(context.settings.artifacts / "variants", batch, last.variants())
            changed = {path: seen for path, seen in tree.files.items() if path not in same}
            stored = _pack(context, root, changed, variants)
            packed = _seal(batch, plan, _contents(tree, same, stored), stored)
        index.remember(remembered, packed.manifest, tree.files if is_source else {}, scanned)
    _report(context, packed)
    return packed


def _pack(context: Context, root: str, files: dict[str, Seen], variants: Variants) -> list[Packing]:
    packings = pack(root, files, variants, context.check)
    unreadable = [(path, "it can't be read") for path, packing in packings.items() if packing is None]
    _say_left_out(context, unreadable)
    return [packing for packing in packings.values() if packing is not None]


def _real_root(context: Context, output: Path, plan: Plan) -> str:
    # The build may have made the output directory, or a folder above it, a link to anywhere.
    depth = len(PurePath(plan.output).parts)
    base = os.path.realpath(output.parents[depth - 1] if depth else output)
    root = os.path.realpath(output)
    inside = root == base or root.startswith(base.rstrip("/") + "/")
    if not inside:
        _say(context, f"{_shown(plan.output)} is a link that leaves the app's directory")
    if not inside or not os.path.isdir(root):  # noqa: PTH112
        raise UserError(ErrorCode.OUTPUT_MISSING, directory=plan.output)
    return root


def _scan(context: Context, root: str) -> Tree:
    limit = context.settings.max_files
    try:
        return scan(root, max_files=limit, check=context.check)
    except TooManyEntriesError as error:
        raise UserError(ErrorCode.TOO_MANY_FILES, count=error.count, limit=limit) from error


def _check_limits(context: Context, tree: Tree) -> None:
    count = len(tree.files) + len(tree.links)
    if count > context.settings.max_files:
        raise UserError(ErrorCode.TOO_MANY_FILES, count=count, limit=context.settings.max_files)
    limit = context.settings.max_file_bytes
    large = sorted((-seen.size, path) for path, seen in tree.files.items() if seen.size > limit)
    if large:
        reasons = [f"{path}: {_bytes(-size)}, above the limit of {_bytes(limit)}" for size, path in large]
        _say_some(context, reasons, "files are too large")
        raise UserError(ErrorCode.FILE_TOO_LARGE, path=large[0][1], size=-large[0][0], limit=limit)


def _keep_secrets_in(context: Context, root: str, tree: Tree) -> None:
    secrets = context.variables.secret_values
    done = clear_text.search(root, tree.files, secrets, context.check)
    lines = [f"warning: the secret {name} stands in {_shown(path)}" for path, name in done.found]
    _say_some(context, lines, "secrets stand in files")
    if done.unread:
        _say(context, f"warning: {done.unread:,} large files were not searched for secrets")
    # A short one may as well be a word that has nothing to do with the secret.
    certain = [(path, name) for path, name in done.found if len(secrets[name]) >= _CERTAIN]
    if certain:
        path, name = certain[0]
        raise UserError(ErrorCode.SECRET_PUBLISHED, name=name, path=_shown(path), app=context.app.slug)


def _contents(tree: Tree, same: dict[str, File], stored: list[Packing]) -> dict[str, File]:
    files = same | {one.path: one.file for one in stored}
    links = {path: files[target] for path, target in tree.links.items() if target in files}
    return files | links


def _seal(batch: Batch, plan: Plan, files: dict[str, File], stored: list[Packing]) -> Packed:
    if not files:
        raise UserError(ErrorCode.OUTPUT_EMPTY, directory=plan.output)
    redirects, headers = files.pop("_redirects", None), files.pop("_headers", None)
    whole = Manifest(files, redirects and redirects.digest, headers and headers.digest)
    new = [one.file.size for one in stored if one.new]
    return Packed(
        manifest=batch.put_manifest(encode(whole)),
        files=len(files),
        size=sum(file.size for file in files.values()),
        new_files=len(new),
        new_bytes=sum(new),
    )


@contextmanager
def _troubles_named(context: Context) -> Generator[None]:
    try:
        yield
    except ChangedError as error:
        raise PlatformError(ErrorCode.UNEXPECTED, error=f"{error} changed while it was packed") from error
    except OSError as error:
        if error.errno not in _NO_SPACE:
            raise
        raise PlatformError(
            ErrorCode.DISK_FULL, detail=f"{error.strerror}: {context.settings.artifacts}"
        ) from error


def _report(context: Context, packed: Packed) -> None:
    there = packed.files - packed.new_files
    files = "1 file" if packed.files == 1 else f"{packed.files:,} files"
    text = f"{files}, {_bytes(packed.size)}; {packed.new_files:,} new"
    text += f", {_bytes(packed.new_bytes)} stored" if packed.new_files else ""
    _say(context, text + (f"; {there:,} were there already" if there > 0 else ""))


def _say_left_out(context: Context, left_out: list[tuple[str, str]]) -> None:
    lines = [f"left out: {_shown(path)}: {reason}" for path, reason in sorted(left_out)]
    _say_some(context, lines, "entries are left out")


def _say_some(context: Context, lines: list[str], what: str) -> None:
    for line in lines[:_SAID_IN_FULL]:
        _say(context, line)
    if len(lines) > _SAID_IN_FULL:
        _say(context, f"... in all {len(lines):,} {what}")


def _say(context: Context, text: str) -> None:
    context.log.say(Phase.PACKAGE, text)


def _shown(path: str) -> str:
    """A path on one line of a log, whatever its bytes are."""
    text = os.fsencode(path).decode(errors="backslashreplace")
    return "".join(letter if letter.isprintable() else ascii(letter)[1:-1] for letter in text)


def _bytes(size: int) -> str:
    if size < 1000:
        return f"{size} B"
    amount, unit = (size / 1000, "KB") if size < 999_950 else (size / 1e6, "MB")
    return f"{amount:,.1f}".removesuffix(".0") + f" {unit}"
