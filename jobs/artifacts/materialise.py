"""Makes a release's folder for the edge: hard links to blobs, so that it costs names and no bytes."""

import errno
import os
import shutil
import tempfile
from hashlib import sha256
from pathlib import Path

from bot.domain.contents import SUFFIXES, Encoding, Manifest, decode
from bot.domain.ids import Digest
from jobs.artifacts.store import ArtifactStore, DamagedError

_LONGEST_NAME = 255
_THERE = (errno.EEXIST, errno.ENOTEMPTY)


def materialise(store: ArtifactStore, manifest: Digest, target: Path, *, rules: bytes | None = None) -> None:
    """Make the folder `target` with `files/`, and `rules.json` when there are rules; all of it or nothing.

    Variants stand beside their file (`.br`, `.gz`, `.zst`) unless the release has a path of that name.
    A target that exists already is left as it is. Raises `FileNotFoundError` when the store lacks the
    manifest or a file, `DamagedError` when one is not what it was.
    """
    if target.is_dir():
        return
    target.parent.mkdir(parents=True, exist_ok=True)
    draft = Path(tempfile.mkdtemp(prefix=".making-", dir=target.parent))
    try:
        _fill(store, read_manifest(store, manifest), draft)
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


def _fill(store: ArtifactStore, manifest: Manifest, draft: Path) -> None:
    files = f"{draft}/files"
    for folder in _folders(manifest):
        _make_folder(f"{files}/{folder}")
    for path, file in manifest.files.items():
        store.link(file.digest, f"{files}/{path}")
        if os.stat(f"{files}/{path}").st_size != file.size:  # noqa: PTH116
            raise DamagedError(file.digest)
    for path, digest in _variants(manifest):
        store.link(digest, f"{files}/{path}")


def _folders(manifest: Manifest) -> list[str]:
    folders = {""}
    for path in manifest.files:
        folder = path.rpartition("/")[0]
        while folder not in folders:
            folders.add(folder)
            folder = folder.rpartition("/")[0]
    # A folder sorts before what is in it.
    return sorted(folders)


def _variants(manifest: Manifest) -> list[tuple[str, Digest]]:
    taken = {*manifest.files, *_folders(manifest)}
    wanted = (
        (_beside(path, encoding), digest)
        for path, file in manifest.files.items()
        for encoding, digest in file.encodings.items()
    )
    return [(path, digest) for path, digest in wanted if path not in taken and _fits(path)]


def _beside(path: str, encoding: Encoding) -> str:
    return path + SUFFIXES[encoding]


def _fits(path: str) -> bool:
    return len(path.rpartition("/")[2].encode()) <= _LONGEST_NAME


def _make_folder(path: str) -> None:
    os.mkdir(path)  # noqa: PTH102
    # Whatever the umask is, the edge may run as another user.
    os.chmod(path, 0o755)  # noqa: PTH101, S103


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
