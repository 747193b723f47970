"""What is in a release: its paths, with the digests of their bytes and of their compressed variants."""

from typing import Literal

import msgspec

from bot.domain.ids import Digest

Encoding = Literal["br", "gzip", "zstd"]

SUFFIXES: dict[Encoding, str] = {"br": ".br", "gzip": ".gz", "zstd": ".zst"}
"""How the edge finds a variant beside its file (Caddy's `precompressed`)."""


class File(msgspec.Struct, frozen=True, omit_defaults=True):
    """One file of a release: the digest of its bytes, their number, and the digests of its variants."""

    digest: Digest
    size: int
    encodings: dict[Encoding, Digest] = {}


class Manifest(msgspec.Struct, frozen=True, omit_defaults=True):
    """A release's files by path (relative, `/` between names), and the raw texts of its rules.

    `redirects` and `headers` name the bytes of `_redirects` and `_headers`, which are not published.
    """

    files: dict[str, File]
    redirects: Digest | None = None
    headers: Digest | None = None

    def digests(self) -> set[Digest]:
        """Everything that the manifest names."""
        named = {rules for rules in (self.redirects, self.headers) if rules is not None}
        for file in self.files.values():
            named.add(file.digest)
            named.update(file.encodings.values())
        return named


def encode(manifest: Manifest) -> bytes:
    """The manifest's one form as JSON: equal releases have equal bytes, so its digest names the content."""
    return msgspec.json.encode(manifest, order="deterministic")


def decode(data: bytes) -> Manifest:
    """Read what `encode` wrote. Raises `msgspec.DecodeError` for anything else."""
    return msgspec.json.decode(data, type=Manifest)
