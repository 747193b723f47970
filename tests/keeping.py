"""Puts files into the artifacts of an instance, as packaging does, and makes a release of them."""

from bot.domain.contents import File, Manifest, encode
from bot.store.engine import writing
from bot.store.schema import releases
from jobs.artifacts.disk import DiskStore
from tests.instance import Instance


def keep_files(
    instance: Instance, number: int, files: dict[str, bytes], *, redirects: bytes = b"", headers: bytes = b""
) -> None:
    """Let the release of that number have these files."""
    with DiskStore(instance.settings.artifacts).batch() as batch:
        named = {path: File(batch.put_bytes(data).digest, len(data)) for path, data in files.items()}
        rules = [batch.put_bytes(text).digest if text else None for text in (redirects, headers)]
        manifest = batch.put_manifest(encode(Manifest(named, *rules)))
    with writing(instance.engine) as tx:
        assert tx.execute(
            releases.update().where(releases.c.number == number).values(manifest=manifest)
        ).rowcount
