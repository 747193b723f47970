"""The way out of a stranger's box, as somebody uses it who wants to get elsewhere."""

import contextlib
import socket
import ssl
import threading
from collections.abc import Generator, Sequence
from dataclasses import dataclass, field

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jobs.egress import hello
from jobs.egress.proxy import Egress
from jobs.egress.request import BadRequestError, parse
from jobs.egress.rules import RefusedError, Registry, choose, find
from jobs.egress.rules import parse as registries

PUBLIC = "93.184.216.34"


@dataclass
class Upstream:
    """A server that keeps what it is sent and answers each connection once."""

    server: socket.socket
    seen: list[bytes] = field(default_factory=list[bytes])

    @property
    def port(self) -> int:
        return self.server.getsockname()[1]

    def run(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                connection, _ = self.server.accept()
                with connection:
                    self.seen.append(connection.recv(65536))
                    connection.sendall(b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\nthe package")


@dataclass
class Box:
    """What stands before the gate: sends a text and reads until the end."""

    port: int
    said: list[str]

    def send(self, text: bytes, then: bytes = b"") -> bytes:
        with socket.create_connection(("127.0.0.1", self.port), 5) as connection:
            connection.sendall(text)
            got = connection.recv(65536)
            if then:
                connection.sendall(then)
            while chunk := connection.recv(65536):
                got += chunk
            return got


@pytest.fixture
def upstream() -> Generator[Upstream]:
    with socket.create_server(("127.0.0.1", 0)) as server:
        found = Upstream(server)
        thread = threading.Thread(target=found.run)
        thread.start()
        yield found
        server.shutdown(socket.SHUT_RDWR)
        thread.join(5)


@contextlib.contextmanager
def gate(entries: Sequence[str], answers: Sequence[Sequence[str]] = ()) -> Generator[Box]:
    """A gate to some registries; names have these answers, one after the other."""
    said: list[str] = []
    left = list(answers)

    async def resolver(_host: str, _port: int) -> Sequence[str]:
        return left.pop(0)

    egress = Egress(registries(["only", *entries]), said.append, resolver=resolver)
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
        with egress.serve(listener.dup()):
            yield Box(port, said)


def greeting(name: str | None) -> bytes:
    """What a real client of TLS sends first."""
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    sent = ssl.MemoryBIO()
    with contextlib.suppress(ssl.SSLWantReadError):
        context.wrap_bio(ssl.MemoryBIO(), sent, server_hostname=name).do_handshake()
    return sent.read()


def extended(greeting: bytes, kind: int, content: bytes) -> bytes:
    """A greeting with an extension more (RFC 8446, 4.1.2)."""
    at = 5 + 4 + 2 + 32
    for size in (1, 2, 1):
        at += size + int.from_bytes(greeting[at : at + size], "big")
    extension = kind.to_bytes(2, "big") + len(content).to_bytes(2, "big") + content
    all_of_them = greeting[at + 2 :] + extension
    body = greeting[9:at] + len(all_of_them).to_bytes(2, "big") + all_of_them
    handshake = greeting[5:6] + len(body).to_bytes(3, "big") + body
    return greeting[:3] + len(handshake).to_bytes(2, "big") + handshake


def test_a_greeting_that_names_a_second_host_where_nobody_sees_it_is_refused(upstream: Upstream):
    place = f"registry.test:{upstream.port}"
    plain, evil = greeting("registry.test"), b"evil.test"
    named = (len(evil) + 3).to_bytes(2, "big") + b"\0" + len(evil).to_bytes(2, "big") + evil
    with gate([f"{place}=127.0.0.1"]) as box:
        connect = f"CONNECT {place} HTTP/1.1\r\n\r\n".encode()
        assert b"the package" in box.send(connect, extended(plain, 0xFAFA, b"grease"))
        # Encrypted Client Hello, whose inner name only its server can read; and a name twice.
        for more in (extended(plain, 0xFE0D, bytes(40)), extended(plain, 0, named)):
            assert b"the package" not in box.send(connect, more)
    assert len(upstream.seen) == 1


def test_a_package_comes_through_and_the_host_sees_one_request_that_was_looked_at(upstream: Upstream):
    place = f"registry.test:{upstream.port}"
    with gate([f"{place}=127.0.0.1"]) as box:
        more = b"GET http://evil.test/ HTTP/1.1\r\nHost: evil.test\r\n\r\n"
        first = f"GET http://{place}/left?a=1 HTTP/1.1\r\nHost: evil.test\r\nProxy-Authorization: x\r\n\r\n"
        assert box.send(first.encode() + more).endswith(b"the package")
    assert upstream.seen == [f"GET /left?a=1 HTTP/1.1\r\nHost: {place}\r\nConnection: close\r\n\r\n".encode()]
    assert box.said == []


def test_a_tunnel_leads_to_the_host_that_tls_names(upstream: Upstream):
    place = f"registry.test:{upstream.port}"
    with gate([f"{place}=127.0.0.1"]) as box:
        connect = f"CONNECT {place} HTTP/1.1\r\nHost: {place}\r\n\r\n".encode()
        assert b"the package" in box.send(connect, greeting("Registry.test"))
        assert b"the package" in box.send(connect, b"GET / HTTP/1.1\r\n\r\n")
        assert hello.server_name(upstream.seen[0]) == "registry.test"
        assert upstream.seen[1] == b"GET / HTTP/1.1\r\n\r\n"
        for name in ("evil.test", None):
            assert b"the package" not in box.send(connect, greeting(name))
    assert len(upstream.seen) == 2
    assert box.said == [
        f"network refused: TLS for {name} through a tunnel to registry.test"
        for name in ("evil.test", "no host")
    ]


@pytest.mark.parametrize(
    "target",
    [
        "evil.test:443", "127.0.0.1:6379", "127.1:80", "2130706433:80", "0x7f.1:443", "[::1]:80",
        "localhost:443", "169.254.169.254:80", "registry.test:22", "registry.test:443@evil.test:443",
        "evil.test#registry.test:443",
        "registry.test%00.evil.test:443", "registry.test.evil.test:443", "evilregistry.test:443", ":443",
        "registry.test:0443443", "registry.test:-1", "registry.test:", "registry.test..:443",
        "u:p@registry.test:443",
        "registry.test/../evil:443", "http://registry.test:443", "[::ffff:127.0.0.1]:443", "*.test:443",
    ],
)  # fmt: skip
def test_odd_forms_of_connect_are_refused_by_name(target: str):
    with gate(["registry.test"]) as box:
        answer = box.send(f"CONNECT {target} HTTP/1.1\r\n\r\n".encode())
    assert answer.startswith(b"HTTP/1.1 403 ")
    assert len(box.said) == 1
    assert target.partition(":443")[0] in box.said[0]


@pytest.mark.parametrize(
    "text",
    [
        b"GET / HTTP/1.1\r\nHost: registry.test", b"GET http://evil.test/ HTTP/1.1",
        b"get http://registry.test/ HTTP/1.1",
        b"POST http://registry.test/ HTTP/1.1", b"GET ftp://registry.test/ HTTP/1.1",
        b"CONNECT registry.test:443",
        b"GET http://registry.test@evil.test/ HTTP/1.1", b"GET http://registry.test\\@evil.test/ HTTP/1.1",
        b"GET http://[::1]/ HTTP/1.1", b"GET http://[::1/ HTTP/1.1", b"\x05\x01\x00",
        b"GET http://registry.test/ HTTP/1.1\r\nA : b",
        b"GET http://registry.test/\x00 HTTP/1.1", b"GET http://registry.test/ HTTP/2.0", b"\x16\x03\x01",
    ],
)  # fmt: skip
def test_odd_requests_are_refused(text: bytes):
    with gate(["registry.test"]) as box:
        assert box.send(text + b"\r\n\r\n").startswith(b"HTTP/1.1 403 ")
    assert len(box.said) == 1


@pytest.mark.parametrize("answer", ["127.0.0.1", "169.254.169.254", "fe80::1%eth0", "::ffff:10.0.0.1"])
@pytest.mark.parametrize("method", ["CONNECT registry.test:443", "GET http://registry.test/"])
def test_a_name_with_an_address_that_is_not_public_is_refused(answer: str, method: str):
    for answers in ([answer], [PUBLIC, answer]):
        with gate(["registry.test"], [answers]) as box:
            assert box.send(f"{method} HTTP/1.1\r\n\r\n".encode()).startswith(b"HTTP/1.1 403 ")
        assert box.said == [
            f"network refused: registry.test has the address {answer}, which is not a public one"
        ]


def test_a_name_that_changes_its_mind_is_dialled_where_it_was_looked_at(upstream: Upstream):
    place = f"registry.test:{upstream.port}"
    # The second answer would be another machine's; the first lies in the network that was written down.
    with gate([f"{place}=127.0.0.0/31"], [["127.0.0.1"], ["127.0.0.9"]]) as box:
        ask = f"GET http://{place}/ HTTP/1.1\r\n\r\n".encode()
        assert box.send(ask).endswith(b"the package")
        assert box.send(ask).startswith(b"HTTP/1.1 403 ")
    assert len(upstream.seen) == 1


def test_a_host_that_does_not_answer_is_no_refusal():
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    with gate([f"registry.test:{port}=127.0.0.1"]) as box:
        answer = box.send(f"GET http://registry.test:{port}/ HTTP/1.1\r\n\r\n".encode())
    assert answer.startswith(b"HTTP/1.1 502 ")
    assert box.said == []


KNOWN = registries(["*.wide.test", "own.test:4873"])


@given(
    st.text(max_size=40)
    | st.from_regex(r"[a-z.*@%:\[\]/-]{0,8}(pypi\.org|own\.test|a\.wide\.test)[.:0-9]{0,6}")
)
def test_whatever_is_asked_for_leads_to_a_known_host_or_nowhere(target: str):
    try:
        host, port, registry = find(KNOWN, target)
    except RefusedError:
        return
    assert registry in KNOWN
    assert host == registry.host or (registry.wide and host.endswith(f".{registry.host}"))
    assert port in ((4873,) if registry.port else (80, 443))
    assert target.lower() in (f"{host}:{port}", f"{host}.:{port}") or target.lower().startswith(host)


def test_the_operator_s_word_is_before_the_usual_ones():
    own = registries(["pypi.org=10.0.0.0/8"])
    assert choose(find(own, "pypi.org:443")[2], "pypi.org", ["10.1.1.1"]) == ["10.1.1.1"]
    with pytest.raises(RefusedError):
        choose(find(own, "pypi.org:443")[2], "pypi.org", [PUBLIC])
    with pytest.raises(RefusedError):
        choose(Registry("pypi.org"), "pypi.org", [])


@pytest.mark.parametrize("entry", ["", "a b", "http://x", "*", "x=10.0.0.0/33", "x:"])
def test_a_wrong_entry_is_no_registry(entry: str):
    with pytest.raises(ValueError, match=r"."):
        assert registries([entry])[0].port


HELLO = greeting("registry.test")


@given(st.binary(max_size=300), st.integers(0, 400), st.integers(0, 255))
def test_no_greeting_breaks_the_reading(data: bytes, cut: int, byte: int):
    changed = HELLO[:cut] + bytes([byte]) + HELLO[cut + 1 :]
    for text in (data, changed, changed[:cut]):
        with contextlib.suppress(hello.NoHelloError):
            if hello.is_whole(text):
                name = hello.server_name(text)
                assert name is None or name in name.lower()


@given(st.binary(max_size=200))
def test_no_request_breaks_the_reading(data: bytes):
    with contextlib.suppress(BadRequestError):
        assert parse(b"GET http://registry.test/ HTTP/1.1\r\n" + data + b"\r\n\r\n").method == "GET"
