"""Reads for which host a TLS connection is meant (RFC 8446, 4.1.2; RFC 6066, 3). Pure.

A server behind a large network serves whichever host the client names inside of TLS, so that a tunnel to
an allowed host would reach others at the same address.
"""

MOST = 16 * 1024 + 5
"""Bytes in which a greeting must be whole: one record."""
_HANDSHAKE, _CLIENT_HELLO, _SERVER_NAME, _HOST_NAME = 22, 1, 0, 0
# Encrypted Client Hello names another host where only its server can read it.
_HIDDEN_NAME = 0xFE0D


class NoHelloError(Exception):
    """Something else than the greeting of a TLS client in one record."""


def is_whole(data: bytes) -> bool:
    """Whether the first record is there. Raises `NoHelloError` as soon as it can't be a greeting's."""
    if data[:1] and data[0] != _HANDSHAKE:
        raise NoHelloError
    if len(data) < 5:
        return False
    length = int.from_bytes(data[3:5], "big")
    if length > MOST - 5:
        raise NoHelloError
    return len(data) >= 5 + length


def server_name(data: bytes) -> str | None:
    """The host that a client's greeting names, in lower case; None when it names none.

    Raises `NoHelloError`.
    """
    try:
        return _server_name(_Bytes(data[5 : 5 + int.from_bytes(data[3:5], "big")]))
    except (IndexError, UnicodeDecodeError) as error:
        raise NoHelloError from error


class _Bytes:
    def __init__(self, data: bytes) -> None:
        self._data = data
        self._at = 0

    def take(self, count: int) -> bytes:
        part = self._data[self._at : self._at + count]
        if len(part) < count:
            raise IndexError
        self._at += count
        return part

    def rest(self) -> bytes:
        return self.take(len(self._data) - self._at)

    def number(self, size: int) -> int:
        return int.from_bytes(self.take(size), "big")

    def block(self, size: int) -> "_Bytes":
        """What follows a length of `size` bytes."""
        return _Bytes(self.take(self.number(size)))

    @property
    def is_empty(self) -> bool:
        return self._at >= len(self._data)


def _server_name(record: _Bytes) -> str | None:
    if record.number(1) != _CLIENT_HELLO:
        raise NoHelloError
    hello = record.block(3)
    hello.take(2 + 32)
    for size in (1, 2, 1):
        hello.block(size)
    found: list[str] = []
    extensions = hello.block(2) if not hello.is_empty else _Bytes(b"")
    while not extensions.is_empty:
        kind, content = extensions.number(2), extensions.block(2)
        if kind == _HIDDEN_NAME:
            raise NoHelloError
        if kind == _SERVER_NAME:
            found += _names(content.block(2))
    if len(found) > 1:
        raise NoHelloError
    return found[0] if found else None


def _names(listed: _Bytes) -> list[str]:
    found: list[str] = []
    while not listed.is_empty:
        kind, name = listed.number(1), listed.block(2)
        if kind == _HOST_NAME:
            found.append(name.rest().decode("ascii").lower().removesuffix("."))
    return found
