"""The demo's visitor, who asks a site without pause."""

import threading
from dataclasses import dataclass, field

import httpx


@dataclass
class Visitor:
    """Asks the site without pause, in a thread, for as long as it is entered."""

    url: str
    hostname: str
    requests: int = 0
    failed: int = 0
    seen: set[bytes] = field(default_factory=set[bytes])
    _ended: threading.Event = field(default_factory=threading.Event)

    def __enter__(self) -> None:
        self._thread = threading.Thread(target=self._ask)
        self._thread.start()

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        self._thread.join()

    def _ask(self) -> None:
        with site_client(self.url, self.hostname) as client:
            while not self._ended.is_set():
                self.requests += 1
                try:
                    answer = client.get("/")
                except httpx.HTTPError:
                    self.failed += 1
                    continue
                self.failed += answer.status_code != 200
                self.seen.add(answer.content)


def site_client(url: str, hostname: str) -> httpx.Client:
    """A client that asks the edge at a URL for a site by its hostname, without any name server."""
    return httpx.Client(base_url=url, headers={"Host": hostname}, trust_env=False)
