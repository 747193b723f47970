"""The way out of a box without network: an HTTP proxy that leads to package registries alone.

It listens on a socket that belongs to the box's network and dials from the machine's. Names are resolved
here, once, and the address that was looked at is the one that is dialled: a name that changes its mind
afterwards changes nothing.
"""

import asyncio
import contextlib
import socket
import threading
from collections.abc import Awaitable, Callable, Generator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

from jobs.egress import hello
from jobs.egress.request import MAX_HEAD, BadRequestError, Request, parse
from jobs.egress.rules import RefusedError, Registry, choose, find

CHUNK = 64 * 1024
MAX_CONNECTIONS = 128
_ASK_SECONDS, _DIAL_SECONDS, _IDLE_SECONDS, _END_SECONDS, _PAUSE_SECONDS = 15.0, 15.0, 120.0, 5.0, 0.1
_MAX_SAID = 100

Resolve = Callable[[str, int], Awaitable[Sequence[str]]]


async def resolve(host: str, port: int) -> Sequence[str]:
    """The addresses of a name, as this machine's resolver has them."""
    found = await asyncio.get_running_loop().getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return [str(answer[4][0]) for answer in found]


@dataclass(frozen=True)
class _Pair:
    """One end of a connection."""

    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter


class Egress:
    """Lets through what goes to the registries. `refused` holds a sentence for each host that was refused."""

    def __init__(
        self, registries: Sequence[Registry], say: Callable[[str], None], *, resolver: Resolve = resolve
    ) -> None:
        self.refused: dict[str, None] = {}
        self._registries = registries
        self._say = say
        self._resolve = resolver

    @contextmanager
    def serve(self, listener: socket.socket) -> Generator[None]:
        """Serve on a listening socket, in a thread; at the end every connection is closed."""
        loop = asyncio.new_event_loop()
        thread = threading.Thread(target=self._run, args=(loop, listener), name="egress", daemon=True)
        thread.start()
        try:
            yield
        finally:
            loop.call_soon_threadsafe(loop.stop)
            thread.join(_END_SECONDS)

    def _run(self, loop: asyncio.AbstractEventLoop, listener: socket.socket) -> None:
        asyncio.set_event_loop(loop)
        tasks: set[asyncio.Task[None]] = set()
        try:
            loop.create_task(self._accept(listener, tasks))
            loop.run_forever()
            _cancel_all(loop)
        finally:
            listener.close()
            loop.close()

    async def _accept(self, listener: socket.socket, tasks: set[asyncio.Task[None]]) -> None:
        listener.setblocking(False)
        slots = asyncio.Semaphore(MAX_CONNECTIONS)
        loop = asyncio.get_running_loop()
        while True:
            await slots.acquire()
            try:
                connection, _ = await loop.sock_accept(listener)
            except OSError:
                # Out of descriptors: those that are closed make room.
                slots.release()
                await asyncio.sleep(_PAUSE_SECONDS)
                continue
            task = loop.create_task(self._attend(connection))
            tasks.add(task)
            task.add_done_callback(lambda done: (tasks.discard(done), slots.release()))

    async def _attend(self, connection: socket.socket) -> None:
        client = _Pair(*await asyncio.open_connection(sock=connection))
        try:
            await self._answer(client)
        except (RefusedError, BadRequestError) as refusal:
            self._refuse(str(refusal))
            await _tell(client, 403, str(refusal))
        except (OSError, TimeoutError, asyncio.IncompleteReadError, asyncio.LimitOverrunError) as error:
            await _tell(client, 502, str(error) or type(error).__name__)
        finally:
            await _close(client)

    async def _answer(self, client: _Pair) -> None:
        async with asyncio.timeout(_ASK_SECONDS):
            head = await client.reader.readuntil(b"\r\n\r\n")
        if len(head) > MAX_HEAD:
            raise BadRequestError("the request is too long")
        request = parse(head)
        host, port, registry = find(self._registries, request.target, port=request.port)
        addresses = choose(registry, host, await self._addresses(registry, host, port))
        if request.tunnels:
            await self._tunnel(client, host, (addresses, port), registry)
        else:
            await self._fetch(client, request, (addresses, port))

    async def _addresses(self, registry: Registry, host: str, port: int) -> Sequence[str]:
        network = registry.network
        if network is not None and network.num_addresses == 1:
            return [str(network.network_address)]
        async with asyncio.timeout(_DIAL_SECONDS):
            return await self._resolve(host, port)

    async def _tunnel(
        self, client: _Pair, host: str, place: tuple[Sequence[str], int], registry: Registry
    ) -> None:
        client.writer.write(b"HTTP/1.1 200 Connection established\r\n\r\n")
        await client.writer.drain()
        async with asyncio.timeout(_ASK_SECONDS):
            greeting = await _greeting(client, plain=registry.port is not None)
        try:
            named = hello.server_name(greeting) if greeting[:1] == b"\x16" else host
        except hello.NoHelloError:
            named = None
        if named != host:
            # The tunnel stands: what can be said is said to the log, and the client sees it close.
            self._refuse(f"TLS for {named or 'no host'} through a tunnel to {host}")
            return
        server = await _dial(*place)
        try:
            server.writer.write(greeting)
            await _relay(client, server)
        finally:
            await _close(server)

    async def _fetch(self, client: _Pair, request: Request, place: tuple[Sequence[str], int]) -> None:
        server = await _dial(*place)
        try:
            server.writer.write(request.forwarded())
            await server.writer.drain()
            # Nothing of the client's follows: a second request would be one that nobody looked at.
            async with asyncio.timeout(_IDLE_SECONDS) as limit:
                await _pump(server.reader, client.writer, limit)
        finally:
            await _close(server)

    def _refuse(self, what: str) -> None:
        if what not in self.refused and len(self.refused) < _MAX_SAID:
            self.refused[what] = None
            self._say(f"network refused: {what}")


async def _greeting(client: _Pair, *, plain: bool) -> bytes:
    """What a client sends first in a tunnel: a whole greeting of TLS, or with `plain` anything else."""
    data = b""
    while chunk := await client.reader.read(CHUNK):
        data += chunk
        try:
            if hello.is_whole(data):
                return data
        except hello.NoHelloError:
            if plain:
                return data
            raise RefusedError("what is not TLS, in a tunnel") from None
    raise RefusedError("a tunnel without a greeting of TLS")


async def _dial(addresses: Sequence[str], port: int) -> _Pair:
    trouble: OSError | None = None
    for address in addresses:
        try:
            async with asyncio.timeout(_DIAL_SECONDS):
                return _Pair(*await asyncio.open_connection(address, port))
        except OSError as error:
            trouble = error
    raise trouble or OSError("no address")


async def _relay(client: _Pair, server: _Pair) -> None:
    """Hand on both ways until both sides have ended, one fails, or nothing moves any more."""
    with contextlib.suppress(OSError):
        async with asyncio.timeout(_IDLE_SECONDS) as limit:
            try:
                async with asyncio.TaskGroup() as ways:
                    ways.create_task(_pump(client.reader, server.writer, limit))
                    ways.create_task(_pump(server.reader, client.writer, limit))
            except* OSError as failed:
                raise failed.exceptions[0] from None


async def _pump(source: asyncio.StreamReader, target: asyncio.StreamWriter, limit: asyncio.Timeout) -> None:
    while chunk := await source.read(CHUNK):
        limit.reschedule(asyncio.get_running_loop().time() + _IDLE_SECONDS)
        target.write(chunk)
        await target.drain()
    if target.can_write_eof():
        target.write_eof()


async def _tell(client: _Pair, status: int, why: str) -> None:
    words = {403: "Forbidden", 502: "Bad Gateway"}[status]
    body = f"slipway: {why}\n".encode(errors="replace")
    head = f"HTTP/1.1 {status} {words}\r\nContent-Length: {len(body)}\r\nConnection: close\r\n\r\n"
    with contextlib.suppress(OSError, TimeoutError):
        client.writer.write(head.encode() + body)
        async with asyncio.timeout(_END_SECONDS):
            await client.writer.drain()


async def _close(pair: _Pair) -> None:
    pair.writer.close()
    with contextlib.suppress(OSError, TimeoutError):
        async with asyncio.timeout(_END_SECONDS):
            await pair.writer.wait_closed()


def _cancel_all(loop: asyncio.AbstractEventLoop) -> None:
    left = asyncio.all_tasks(loop)
    for task in left:
        task.cancel()
    loop.run_until_complete(asyncio.wait_for(asyncio.gather(*left, return_exceptions=True), _END_SECONDS))
