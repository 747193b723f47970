"""What somebody gets who opens a pull request from a fork in order to steal, to stay, or to break things."""

import functools
import http.server
import io
import json
import socket
import tarfile
import threading
import time
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import pytest

from bot.domain.environment import EnvironmentKind
from bot.errors import ErrorCode, PlatformError
from bot.settings import Settings
from jobs.sandbox.choose import choose
from jobs.steps.context import Context
from tests.jobs.boxes import processes_with, working_bubblewrap
from tests.jobs.test_build import Yard, failure, shell

pytestmark = pytest.mark.slow

SECRET = "a-secret-of-the-instance"
PYTHON = "/usr/bin/python3"
# Reached as it is by trusted builds; by others only as the operator says, since theirs is another loopback.
REGISTRY = "127.0.0.2"


class Alien(Yard):
    """Attempts at building a fork's commit, unless it is `trusted`."""

    trusted = False

    def _context(self, workspace: Path) -> Context:
        made = super()._context(workspace)
        return replace(made, deployment=replace(made.deployment, from_fork=not self.trusted))

    def attack(self, script: str) -> str:
        """What a script prints in a build that succeeds."""
        self.run(*shell(f"{{ {script}\n}} 2>&1; mkdir -p dist"))
        return self.log.printed.decode(errors="replace")


def made(folder: Path, **options: str | int) -> Alien:
    chosen = {"home": folder / "home", "build_timeout": 30, "fork_memory": 512, **options}
    settings = Settings.model_validate(chosen)
    (folder / "kept").mkdir()
    return Alien(folder, choose(settings), settings, kind=EnvironmentKind.PREVIEW)


@pytest.fixture
def alien(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Alien:
    if working_bubblewrap(tmp_path / "home") is None:
        pytest.skip("bubblewrap does not work on this machine")
    monkeypatch.setenv("SLIPWAY_GITHUB_TOKEN", SECRET)
    return made(tmp_path)


@contextmanager
def server(folder: Path) -> Generator[int]:
    """Something that listens on this machine's loopback: a web process, an edge, a registry."""

    class Handler(http.server.SimpleHTTPRequestHandler):
        def log_message(self, format: str, *args: object) -> None:  # noqa: A002 the name that it has above
            """Nothing to say."""

    handler = functools.partial(Handler, directory=str(folder))
    with http.server.ThreadingHTTPServer(("0.0.0.0", 0), handler) as listening:
        thread = threading.Thread(target=listening.serve_forever, args=(0.01,))
        thread.start()
        yield listening.server_port
        listening.shutdown()
        thread.join()


def test_no_secret_of_the_instance_is_there_to_be_read(alien: Alien):
    home = alien.settings.home
    for name in (
        "slipway.db",
        "keys/encryption",
        "caches/9/deps/k/x",
        "trees/9/x",
        "mirrors/9/config",
        "logs/1",
    ):
        (home / name).parent.mkdir(parents=True, exist_ok=True)
        (home / name).write_text(SECRET)
    said = alien.attack(
        f"env; cat /proc/*/environ /proc/*/cmdline; grep -r {SECRET} {home} /home /root /var /tmp /run /etc;"
        f"ls {home} {alien.path} /root /var /run; find / -name slipway.db -not -path '/proc/*';cat /etc/hosts"
    )
    assert SECRET not in said.replace(f"grep -r {SECRET}", "")
    assert said.count("No such file or directory") >= 5
    assert socket.gethostname() not in said
    assert "SLIPWAY_GITHUB_TOKEN" not in said


def test_links_of_a_commit_lead_nowhere(alien: Alien):
    key = alien.settings.home / "keys" / "k"
    key.parent.mkdir(parents=True)
    key.write_text(SECRET)
    for name in ("package.json", "package-lock.json", "patches", "node_modules"):
        (alien.path / "kept" / name).symlink_to(key if "." in name else key.parent)
    said = alien.attack("cat package.json package-lock.json patches/k node_modules/k")
    assert SECRET not in said
    assert said.count("No such file or directory") == 4
    assert failure(lambda: alien.run(*shell(f"ln -s {key.parent} dist"))).code is ErrorCode.OUTPUT_MISSING
    # Trusted code is no reason to read what a link points to, either.
    alien.trusted = True
    lock = ("package-lock.json",)
    error = failure(lambda: alien.run("true", install=("npm", "ci"), lock_files=lock))
    assert error.code is ErrorCode.INSTALL_FAILED


CALLS = """
import socket, sys, urllib.request
def attempt(name, call):
    try:
        call()
        print(name, "REACHED")
    except OSError as error:
        print(name, getattr(error, "code", None) or error.errno)
def tunnel(target):
    way = socket.create_connection(("127.0.0.1", 3128), 5)
    way.sendall(f"CONNECT {target} HTTP/1.1\\r\\n\\r\\n".encode())
    if b" 200 " not in way.recv(100):
        raise OSError(403, "refused")
for place in sys.argv[1:]:
    host, port = place.rsplit(":", 1)
    attempt(f"direct {place}", lambda: socket.create_connection((host, int(port)), 2))
    attempt(f"get {place}", lambda: urllib.request.urlopen(f"http://{place}/", timeout=5))
    attempt(f"tunnel {place}", lambda: tunnel(place))
attempt("abstract", lambda: socket.socket(socket.AF_UNIX).connect("\\0slipway-wall"))
attempt("resolver", lambda: socket.getaddrinfo("example.org", 80))
attempt("udp", lambda: socket.socket(type=socket.SOCK_DGRAM).sendto(b"x", ("203.0.113.1", 53)))
"""


def test_neither_the_machine_nor_its_neighbours_answer(alien: Alien, tmp_path: Path):
    alien.write("calls.py", CALLS)
    with server(tmp_path) as port, socket.socket(socket.AF_UNIX) as abstract:
        abstract.bind("\0slipway-wall")
        abstract.listen()
        places = [f"127.0.0.1:{port}", f"localhost:{port}", "169.254.169.254:80", "10.0.0.1:6379", "[::1]:80"]
        said = alien.attack(f"{PYTHON} calls.py {' '.join(places)}")
    assert "REACHED" not in said
    assert len(said.splitlines()) == 3 * len(places) + 3
    refused = [line for line in alien.log.said if line.startswith("network refused: ")]
    assert any("169.254.169.254:80" in line for line in refused)


def test_a_refused_host_is_the_reason_that_people_are_told(alien: Alien):
    fetch = f"{PYTHON} -c 'import urllib.request; urllib.request.urlopen(\"http://evil.example/\")'"
    error = failure(lambda: alien.run(*shell(fetch)))
    assert error.code is ErrorCode.NETWORK_REFUSED
    assert error.facts["hosts"] == "evil.example:80 is not a package registry"


def package(folder: Path, name: str, text: str) -> None:
    """Publish a package of one file in a folder that a server shows."""
    files = {
        "package/package.json": json.dumps({"name": name, "version": "1.0.0", "main": "index.js"}),
        "package/index.js": f"module.exports = {text!r}",
    }
    with tarfile.open(folder / f"{name}-1.0.0.tgz", "w:gz") as archive:
        for path, content in files.items():
            entry = tarfile.TarInfo(path)
            entry.size = len(content)
            archive.addfile(entry, io.BytesIO(content.encode()))


BUILD = """
const fs = require('fs')
fs.mkdirSync('dist')
fs.writeFileSync('dist/a', require('left'))
"""


def project(alien: Alien, registry: str) -> None:
    """A project with one dependency, and what only its own files decide about."""
    source = f"{registry}/left-1.0.0.tgz"
    root = {"name": "site", "version": "1.0.0", "dependencies": {"left": source}}
    packages = {"": root, "node_modules/left": {"version": "1.0.0", "resolved": source}}
    alien.write("package.json", json.dumps(root))
    alien.write("package-lock.json", json.dumps({**root, "lockfileVersion": 3, "packages": packages}))
    alien.write("build.js", BUILD)


def build(alien: Alien, command: str = "node build.js", install: tuple[str, ...] = ("npm", "ci")) -> str:
    output = alien.run(*shell(command), install=install, lock_files=("package-lock.json",))
    return (output / "a").read_text()


@pytest.fixture
def town(tmp_path: Path) -> Generator[Alien]:
    """A project whose dependencies come from a registry that the operator allowed."""
    if working_bubblewrap(tmp_path / "home") is None:
        pytest.skip("bubblewrap does not work on this machine")
    shelf = tmp_path / "shelf"
    shelf.mkdir()
    package(shelf, "left", "from the registry")
    with server(shelf) as port:
        alien = made(tmp_path, registries=f"only,{REGISTRY}:{port}=127.0.0.1")
        project(alien, f"http://{REGISTRY}:{port}")
        yield alien


POISON = "echo \"module.exports = 'poison'\" > node_modules/left/index.js"


def test_packages_come_from_a_registry_and_nothing_of_the_build_is_kept(town: Alien):
    poisoned = f"{POISON}; cp -r node_modules $HOME; echo poison > /cache/poison; node build.js"
    assert build(town, poisoned) == "poison"
    assert list((town.settings.home).glob("caches/*/*")) == []
    # The same commit by the same stranger: nothing is left of the first build.
    assert build(town) == "from the registry"
    assert [command for command, _ in town.ran] == ["npm ci", "node build.js"]
    # And a trusted build of the same lock file makes its own.
    town.trusted = True
    assert build(town) == "from the registry"
    assert town.ran[0][0] == "npm ci"


@pytest.mark.long
def test_what_trusted_builds_installed_is_not_shown_to_strangers(town: Alien):
    town.trusted = True
    town.kind = EnvironmentKind.PRODUCTION
    assert build(town) == "from the registry"
    town.trusted = False
    assert build(town) == "from the registry"
    assert town.ran[0][0] == "npm ci"
    town.trusted = True
    assert build(town) == "from the registry"
    assert [command for command, _ in town.ran] == ["node build.js"]


def test_a_fork_bomb_ends_with_its_build(alien: Alien):
    alien.settings = alien.settings.model_copy(update={"fork_timeout": 3, "fork_processes": 32})
    bomb = f"{PYTHON} -c 'import os\nwhile True:\n try: os.fork()\n except OSError: pass' bomb-of-a-stranger"
    started = time.monotonic()
    error = failure(lambda: alien.run(*shell(bomb)))
    assert error.code is ErrorCode.BUILD_TIMED_OUT
    assert error.facts["limit"] == 3
    assert time.monotonic() - started < 15
    assert processes_with("bomb-of-a-stranger") == []


def test_a_daemon_does_not_outlive_its_build(alien: Alien):
    daemon = f"setsid nohup {PYTHON} -c 'import time; time.sleep(600)' daemon-of-a-stranger >/dev/null 2>&1 &"
    alien.attack(f"{daemon} sleep 0.3")
    assert processes_with("daemon-of-a-stranger") == []


@pytest.mark.parametrize(
    "script",
    [
        "dd if=/dev/zero of=one bs=1M count=30",
        "for n in 1 2 3 4 5 6; do dd if=/dev/zero of=$HOME/$n bs=1M count=4; done; sleep 60",
        f"{PYTHON} -c 'for n in range(5000): open(str(n), \"w\")'; sleep 60",
        f'{PYTHON} -c \'import os\nfor n in range(50): os.mkdir("d" * 200); os.chdir("d" * 200)\'; sleep 60',
    ],
)
def test_a_disk_is_not_filled(alien: Alien, script: str):
    alien.settings = alien.settings.model_copy(update={"fork_disk": 16})
    error = failure(lambda: alien.run(*shell(f"{script}; mkdir dist")))
    assert (error.code, error.facts["limit"]) == (ErrorCode.BUILD_TOO_LARGE, 16)


def test_limits_are_lower_than_those_of_others_and_never_higher(alien: Alien):
    alien.settings = alien.settings.model_copy(update={"fork_memory": 64})
    hog = f"{PYTHON} -c 'x = bytearray(10**9)'"
    if alien.sandbox.warning is None:
        error = failure(lambda: alien.run(*shell(hog)))
        assert (error.code, error.facts["limit"]) == (ErrorCode.BUILD_OUT_OF_MEMORY, 64)
    alien.settings = alien.settings.model_copy(update={"build_timeout": 1, "fork_memory": 512})
    assert failure(lambda: alien.run("sleep", "60")).facts["limit"] == 1


def test_privileges_stay_out_of_reach(alien: Alien):
    said = alien.attack(
        "unshare -Un true && echo NESTED; mount -t tmpfs t /usr && echo MOUNTED; touch /usr/x"
    )
    assert "NESTED" not in said
    assert "MOUNTED" not in said
    assert not Path("/usr/x").exists()


def test_without_bubblewrap_nothing_of_a_stranger_is_run(tmp_path: Path):
    alien = made(tmp_path, sandbox="none")
    with pytest.raises(PlatformError) as raised:
        alien.run(*shell(f"touch {tmp_path}/ran"))
    assert raised.value.code is ErrorCode.SANDBOX_MISSING
    assert not (tmp_path / "ran").exists()
    # Files that are published as they are need no box.
    alien.write("site/index.html", "hi")
    assert alien.run(root="site", output=".").name == "site"
