"""A real edge on a free port, and releases built by hand."""

import hashlib
import http.client
import os
import socket
import threading
from collections.abc import Generator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from bot.domain.ids import ReleaseId
from bot.settings import Settings
from jobs.edge import Edge
from jobs.site_entry import Watch
from jobs.site_rules import parse, to_json
from jobs.sites import Sites
from jobs.table_upkeep import TableUpkeep
from tests.waiting import wait_until


@dataclass(frozen=True)
class Answer:
    status: int
    headers: Mapping[str, str]
    body: bytes

    @property
    def release(self) -> str | None:
        return self.headers.get("x-slipway-release")


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return listener.getsockname()[1]


def put_release(home: Path, number: int, files: Mapping[str, bytes | str], rules: tuple[str, str] = ("", "")):
    """Write a release as packaging does: each file's time is taken from its content, folders are shared."""
    folder = home / "releases" / str(number) / "files"
    folder.mkdir(parents=True, exist_ok=True)
    shared = home / "folders"
    shared.mkdir(exist_ok=True)
    for top in sorted({name.partition("/")[0] for name in files if "/" in name}):
        own = f"{number}-{hashlib.sha256(top.encode()).hexdigest()}"
        (shared / own).mkdir(exist_ok=True)
        (folder / top).symlink_to(f"../../../folders/{own}")
    for name, content in files.items():
        data = content.encode() if isinstance(content, str) else content
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
        stamp = int.from_bytes(hashlib.sha256(data).digest()[:7], "big") + 10**9 * 3600
        os.utime(path, ns=(stamp, stamp))
    if any(rules):
        parsed, warnings = parse(*rules)
        assert warnings == []
        (folder.parent / "rules.json").write_bytes(to_json(parsed))


class RunningEdge:
    """An edge in this process, with what a visitor and a deploy do to it."""

    def __init__(self, home: Path) -> None:
        self.settings = Settings(home=home, edge_address=f"127.0.0.1:{free_port()}")  # pyright: ignore[reportCallIssue]
        self.home = self.settings.edge_home
        self.edge = Edge(self.settings)
        self.sites = Sites(self.home)
        self.table = TableUpkeep(self.sites)
        self.port = self.settings.edge_port
        self._activations = 0
        self._releases = 0

    def release(self, files: Mapping[str, bytes | str], rules: tuple[str, str] = ("", "")) -> int:
        self._releases += 1
        put_release(self.home, self._releases, files, rules)
        return self._releases

    def show(
        self,
        hostname: str,
        release: int,
        *,
        spa: bool = False,
        watch: Watch = Watch.NOTHING,
        led: bool = True,
    ) -> None:
        """Show a release; where it is `led`, with its link, as if it had been shown for a while."""
        self._activations += 1
        rules = (self.home / "releases" / str(release) / "rules.json").exists()
        self.sites.activate(
            hostname,
            activation=self._activations,
            release=ReleaseId(release),
            spa=spa,
            rules=rules,
            watch=watch,
        )
        if led:
            self.sites.host(hostname).lead()

    def site(
        self,
        hostname: str,
        files: Mapping[str, bytes | str],
        *,
        spa: bool = False,
        rules: tuple[str, str] = ("", ""),
    ) -> int:
        release = self.release(files, rules)
        self.show(hostname, release, spa=spa)
        return release

    def ask(
        self, host: str, path: str = "/", *, method: str = "GET", headers: Mapping[str, str] | None = None
    ) -> Answer:
        """What the edge answers. What it served by a site's link is held to what it says by its entries."""
        answer = self._ask(host, path, method, headers or {})
        if method != "GET" or answer.release is not None or (answer.status >= 300 and answer.status != 304):
            return answer
        head = self._ask(host, path, "HEAD", headers or {})
        assert head.release is not None
        varying = {"date", "x-slipway-release"}
        assert {(n, v) for n, v in head.headers.items() if n not in varying} == {
            (n, v) for n, v in answer.headers.items() if n not in varying
        }
        assert head.status == answer.status
        return replace(answer, headers=head.headers)

    def _ask(self, host: str, path: str, method: str, headers: Mapping[str, str]) -> Answer:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=10)
        try:
            connection.putrequest(method, path, skip_host=True, skip_accept_encoding=True)
            for name, value in {"Host": host, **headers}.items():
                connection.putheader(name, value)
            connection.endheaders()
            return _answer(connection.getresponse())
        finally:
            connection.close()

    def say(self, request: bytes) -> bytes:
        """What comes back for bytes that no HTTP library would send."""
        with socket.create_connection(("127.0.0.1", self.port), timeout=10) as connection:
            connection.sendall(request)
            with connection.makefile("rb") as stream:
                return stream.read()


def _answer(response: http.client.HTTPResponse) -> Answer:
    # A header that came twice shows twice.
    headers = {name.lower(): ", ".join(response.headers.get_all(name, [])) for name in response.headers}
    return Answer(response.status, headers, response.read())


def _listens(port: int) -> bool:
    try:
        socket.create_connection(("127.0.0.1", port), timeout=1).close()
    except OSError:
        return False
    return True


@contextmanager
def running_edge(home: Path) -> Generator[RunningEdge]:
    running = RunningEdge(home)
    running.edge.start()
    stop = threading.Event()
    watcher = threading.Thread(target=running.edge.watch, args=(stop,))
    watcher.start()
    try:
        wait_until(lambda: _listens(running.port), what="the edge")
        yield running
    finally:
        stop.set()
        watcher.join()
        running.edge.stop()
