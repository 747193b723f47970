"""A small name server on loopback that knows some TXT records."""

import socket
import threading
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass, field

import dns.flags
import dns.message
import dns.rcode
import dns.rrset


@dataclass
class NameServer:
    """Answers from `texts`, by name; fails for all while `is_broken`."""

    port: int
    texts: dict[str, list[str]] = field(default_factory=dict[str, list[str]])
    is_broken: bool = False

    @property
    def address(self) -> str:
        return f"127.0.0.1:{self.port}"

    def answer(self, data: bytes) -> bytes:
        asked = dns.message.from_wire(data)
        reply = dns.message.make_response(asked)
        reply.flags |= dns.flags.RA
        question = asked.question[0]
        values = self.texts.get(question.name.to_text(omit_final_dot=True).lower())
        if self.is_broken:
            reply.set_rcode(dns.rcode.SERVFAIL)
        elif values is None:
            reply.set_rcode(dns.rcode.NXDOMAIN)
        else:
            quoted = [f'"{value}"' for value in values]
            reply.answer.append(dns.rrset.from_text(question.name, 1, "IN", "TXT", *quoted))
        return reply.to_wire()


@contextmanager
def name_server() -> Generator[NameServer]:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as listener:
        listener.bind(("127.0.0.1", 0))
        listener.settimeout(0.05)
        server = NameServer(listener.getsockname()[1])
        ended = threading.Event()

        def serve() -> None:
            while not ended.is_set():
                try:
                    data, who = listener.recvfrom(4096)
                except TimeoutError:
                    continue
                listener.sendto(server.answer(data), who)

        thread = threading.Thread(target=serve)
        thread.start()
        try:
            yield server
        finally:
            ended.set()
            thread.join()
