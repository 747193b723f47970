"""Clients that never finish what they begin, and more of them than there are file descriptors."""

import socket
import threading
import time
from collections.abc import Generator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import httpx
import pytest
import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse
from starlette.routing import Route

from bot.web import PatientProtocol
from tests.waiting import wait_until
from tests.web import Web, free_port

CONNECTIONS = 40
WHOLE = b"GET / HTTP/1.1\r\nHost: x\r\n\r\n"


class Hasty(PatientProtocol):
    request_seconds = 0.4


async def answer(request: Request) -> PlainTextResponse:
    return PlainTextResponse(f"{len(await request.body())} bytes")


@pytest.fixture(scope="module")
def port() -> Generator[int]:
    app = Starlette(routes=[Route("/", answer, methods=["GET", "POST"])])
    number = free_port()
    config = uvicorn.Config(
        app, port=number, loop="uvloop", http=Hasty, log_config=None, limit_concurrency=CONNECTIONS
    )
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run)
    thread.start()
    wait_until(lambda: server.started, what="the server to listen")
    yield number
    server.should_exit = True
    thread.join()


@contextmanager
def connected(port: int) -> Generator[socket.socket]:
    with socket.create_connection(("127.0.0.1", port), timeout=5) as client:
        yield client


def is_closed(client: socket.socket) -> bool:
    """Whether the other side ended the connection, by whatever way, within the time-out."""
    try:
        return client.recv(100) == b""
    except ConnectionResetError:
        return True


BEGUN = {
    "nothing": b"",
    "half a line": b"GET / HT",
    "no end of headers": b"GET / HTTP/1.1\r\nHost: x\r\n",
    "half a body": b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\n\r\nabc",
    "a second request without an end": WHOLE + b"GET / HTTP/1.1\r\n",
}


@pytest.mark.parametrize("name", BEGUN)
def test_a_request_that_does_not_arrive_is_not_waited_for(port: int, name: str):
    with connected(port) as client:
        began = time.monotonic()
        client.sendall(BEGUN[name])
        if BEGUN[name].startswith(WHOLE):
            assert client.recv(1000).startswith(b"HTTP/1.1 200")
        assert is_closed(client)
        assert 0.3 < time.monotonic() - began < 3


def test_a_byte_now_and_then_buys_no_time(port: int):
    with connected(port) as client:
        began = time.monotonic()
        client.settimeout(0.05)
        client.sendall(b"GET / HTTP/1.1\r\n")
        ended = False
        while not ended and time.monotonic() - began < 3:
            try:
                client.sendall(b"X-Slow: loris\r\n")
                ended = client.recv(100) == b""
            except TimeoutError:
                continue
            except (BrokenPipeError, ConnectionResetError):
                ended = True
        assert ended
        assert 0.3 < time.monotonic() - began < 2


def test_a_client_that_only_pauses_between_requests_is_served(port: int):
    with connected(port) as client:
        for _ in range(3):
            client.sendall(WHOLE)
            assert client.recv(1000).startswith(b"HTTP/1.1 200")
            time.sleep(Hasty.request_seconds * 1.2)


def test_who_waits_longest_makes_room_for_a_whole_request(port: int):
    with ExitStack() as stack:
        idle = [stack.enter_context(connected(port)) for _ in range(CONNECTIONS * 2)]
        answered = httpx.get(f"http://127.0.0.1:{port}/", timeout=5, trust_env=False)
        assert answered.status_code == 200
        assert is_closed(idle[0])


def test_a_flood_of_idle_clients_leaves_files_for_deliveries(tmp_path: Path):
    with Web(tmp_path, f"unix://{tmp_path}/nothing.sock", files=128) as web, ExitStack() as stack:
        for _ in range(300):
            stack.enter_context(connected(web.port))
        for number in range(5):
            delivered = web.deliver(f"guid-{number}")
            assert delivered.status_code == 202, delivered.text
        assert web.client.get("/ready").json()["parts"]["files"] == "ok"
