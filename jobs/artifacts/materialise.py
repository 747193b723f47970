"""Makes a release's folder for the edge: hard links to blobs, so that it costs names and no bytes."""

import errno
import os
import shutil
import tempfile
from contextlib import nullcontext
from hashlib import sha256
from pathlib import Path

from bot.domain.contents import Manifest, decode
from bot.domain.ids import Digest
from jobs.artifacts.folders import Folder, SharedFolders, fill, folder_of, make_folder
from jobs.artifacts.store import ArtifactStore, DamagedError

_THERE = (errno.EEXIST, errno.ENOTEMPTY)


def materialise(
    store: ArtifactStore,
    manifest: Digest,
    target: Path,
    *,
    rules: bytes | None = None,
    shared: SharedFolders | None = None,
) -> None:
    """Make the folder `target` with `files/`, and `rules.json` when there are rules; all of it or nothing.

    Variants stand beside their file (`.br`, `.gz`, `.zst`) unless the release has a path of that name.
    A target that exists already is left as it is. With `shared`, folders in it are links to those that other
    releases have, too. Raises `FileNotFoundError` when the store lacks the manifest or a file, `DamagedError`
    when one is not what it was.
    """
    if target.is_dir():
        return
    target.parent.mkdir(parents=True, exist_ok=True)
    draft = Path(tempfile.mkdtemp(prefix=".making-", dir=target.parent))
    try:
        top = folder_of(read_manifest(store, manifest))
        make_folder(f"{draft}/files")
        with shared.in_use() if shared else nullcontext():
            _lay(store, top, f"{draft}/files", shared)
            if rules is not None:
                _write_durably(draft / "rules.json", rules)
            _publish(draft, target)
    finally:
        shutil.rmtree(draft, ignore_errors=True)


def read_manifest(store: ArtifactStore, manifest: Digest) -> Manifest:
    """A release's manifest. Raises `FileNotFoundError`, or `DamagedError` when it is not what it was."""
    data = store.read(manifest)
    if sha256(data).hexdigest() != manifest:
        raise DamagedError(manifest)
    return decode(data)


def _lay(store: ArtifactStore, folder: Folder, path: str, shared: SharedFolders | None) -> None:
    fill(store, folder, path)
    for name, one in folder.folders.items():
        below = f"{path}/{name}"
        if shared is None:
            make_folder(below)
            _lay(store, one, below, None)
        else:
            to_shared = os.path.relpath(shared.shared, path)
            os.symlink(f"{to_shared}/{shared.make(store, one)}", below)  # noqa: PTH211


def _write_durably(path: Path, data: bytes) -> None:
    with path.open("xb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())


def _publish(draft: Path, target: Path) -> None:
    draft.chmod(0o755)
    try:
        draft.rename(target)
    except OSError as error:
        # Another made the same release in the meantime.
        if error.errno not in _THERE:
            raise
