"""`GET .../releases/{release}/archive`: a release's files as one file, made while it is sent."""

import tarfile
import threading
import zipfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, BinaryIO, Literal

import zstandard
from pydantic import Field
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse
from starlette.types import Receive, Scope, Send

from bot.api import reading as incoming
from bot.api.envelope import Model, failure
from bot.api.operation import Call
from bot.api.refusals import Code, RefusalError, conflict, not_found
from bot.domain.contents import File, Manifest
from bot.domain.release import Release
from bot.shelf import GoneError, Shelf
from bot.store import releases

AT_ONCE = 4
"""Archives that one process makes at a time."""
_CHUNK = 256 * 1024
_MEDIA = {"zip": "application/zip", "tar.zst": "application/zstd"}
# A moment that says nothing: the earliest that a ZIP archive can name.
_EPOCH = (1980, 1, 1, 0, 0, 0)


class ArchiveQuery(Model):
    """What kind of archive."""

    format: Literal["zip", "tar.zst"] = Field(default="zip", examples=["zip"])


@dataclass(frozen=True)
class _Wanted:
    app: str
    release: Release
    manifest: Manifest
    format: str

    @property
    def name(self) -> str:
        # Slugs and names of releases are letters, digits and hyphens.
        return f"{self.app}-{self.release.name}.{self.format}"


class Archive:
    """The endpoint. `admit` raises `RefusalError` unless the caller may read the app, and gives the call."""

    def __init__(self, shelf: Shelf, admit: Callable[[Request, Callable[[Call], object]], object]) -> None:
        self._shelf = shelf
        self._admit = admit
        self._places = threading.BoundedSemaphore(AT_ONCE)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        request = Request(scope, receive)
        try:
            response = await run_in_threadpool(self._response, request)
        except RefusalError as refusal:
            response = failure(refusal, request_id=incoming.request_id_of(request))
        await response(scope, receive, send)

    def _response(self, request: Request) -> Response:
        wanted = self._find(request)
        headers = {
            "Content-Disposition": f'attachment; filename="{wanted.name}"',
            "Cache-Control": "private, no-store",
            "X-Content-Type-Options": "nosniff",
            "X-Request-ID": incoming.request_id_of(request),
        }
        media = _MEDIA[wanted.format]
        if request.method == "HEAD":
            return Response(media_type=media, headers=headers)
        if not self._places.acquire(blocking=False):
            message = f"{AT_ONCE} archives are being made already. Try again in a moment."
            raise RefusalError(503, Code.NOT_NOW, message, headers={"Retry-After": "5"})
        return _Sending(self._made(wanted), self._places.release, media_type=media, headers=headers)

    def _find(self, request: Request) -> _Wanted:
        found: list[tuple[str, Release]] = []

        def look(call: Call) -> None:
            word = request.path_params["release"]
            release = releases.by_word(call.tx, call.of_app.id, word) if incoming.is_word(word) else None
            if release is None:
                raise not_found("release", word)
            found.append((call.of_app.slug, release))

        self._admit(request, look)
        query = incoming.parameters(request, ArchiveQuery)
        assert isinstance(query, ArchiveQuery)
        slug, release = found[0]
        try:
            return _Wanted(slug, release, self._shelf.manifest(release.manifest), query.format)
        except GoneError as error:
            raise conflict(Code.CONFLICT, f"The files of {release.name} are gone. Deploy it anew.") from error

    def _made(self, wanted: _Wanted) -> Iterator[bytes]:
        make = _zipped if wanted.format == "zip" else _tarred
        return make(self._shelf, wanted.manifest, wanted.release.name)


class _Sending(StreamingResponse):
    """Sends an archive, and says when that is over, however it ends."""

    def __init__(
        self, content: Iterator[bytes], over: Callable[[], None], *, media_type: str, headers: dict[str, str]
    ) -> None:
        super().__init__(content, media_type=media_type, headers=headers)
        self._over = over

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            await super().__call__(scope, receive, send)
        finally:
            self._over()


class _Pipe:
    """Where archivers write; what they wrote is taken out again and again, so that little is held."""

    def __init__(self) -> None:
        self._parts: list[bytes] = []

    def write(self, data: bytes) -> int:
        self._parts.append(bytes(data))
        return len(data)

    def flush(self) -> None:
        """Nothing is kept back."""

    def take(self) -> bytes:
        parts, self._parts = self._parts, []
        return b"".join(parts)


def _zipped(shelf: Shelf, manifest: Manifest, folder: str) -> Iterator[bytes]:
    pipe = _Pipe()
    writer: Any = pipe
    with zipfile.ZipFile(writer, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive:
        for path, file in _contents(shelf, manifest):
            entry = zipfile.ZipInfo(f"{folder}/{path}", _EPOCH)
            entry.compress_type = zipfile.ZIP_DEFLATED
            entry.external_attr = 0o644 << 16
            with shelf.open(file.digest) as source, archive.open(entry, "w", force_zip64=True) as target:
                for chunk in _chunks(source):
                    target.write(chunk)
                    yield pipe.take()
    yield pipe.take()


def _tarred(shelf: Shelf, manifest: Manifest, folder: str) -> Iterator[bytes]:
    press = zstandard.ZstdCompressor(level=3).compressobj()
    for path, file in _contents(shelf, manifest):
        entry = tarfile.TarInfo(f"{folder}/{path}")
        entry.size, entry.mode = file.size, 0o644
        yield press.compress(entry.tobuf(tarfile.PAX_FORMAT))
        with shelf.open(file.digest) as source:
            for chunk in _chunks(source):
                yield press.compress(chunk)
        yield press.compress(bytes(-file.size % tarfile.BLOCKSIZE))
    # Two empty blocks are the end.
    yield press.compress(bytes(2 * tarfile.BLOCKSIZE)) + press.flush()


def _contents(shelf: Shelf, manifest: Manifest) -> Iterator[tuple[str, File]]:
    for path, file in sorted(manifest.files.items()):
        # Packaging lets none of these in; whoever unpacks an archive must not depend on that.
        if not path.startswith("/") and ".." not in path.split("/") and "\\" not in path:
            yield path, file
    for name, digest in (("_redirects", manifest.redirects), ("_headers", manifest.headers)):
        if digest is not None and name not in manifest.files:
            yield name, File(digest, shelf.size(digest))


def _chunks(source: BinaryIO) -> Iterator[bytes]:
    while chunk := source.read(_CHUNK):
        yield chunk
