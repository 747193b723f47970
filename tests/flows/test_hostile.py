"""What an attacker can send: repositories, builds, requests. Each has a named outcome and does no harm."""

import contextlib
import hashlib
import hmac
import json
import socket
import uuid
from collections.abc import Generator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import psutil
import pytest

from bot.console.access import console_key
from bot.domain.deployment import Deployment, State
from bot.domain.ids import AppId, Sha
from jobs.sandbox import processes
from tests.fakes.repository import Files, Repository
from tests.running import SECRET, Slipway, alive
from tests.waiting import wait_until

pytestmark = pytest.mark.long

RECIPE = '[build]\ncommand = "sh build.sh"\noutput = "out"\n'
PAGE = "mkdir -p out; echo fine > out/index.html\n"
MIB = 1024 * 1024


@dataclass
class Target:
    """An instance with small limits, and an app of an attacker's with a live site."""

    slipway: Slipway
    repository: Repository
    app: AppId
    base: Sha

    def deploy(self, files: Files, links: dict[str, str] | None = None) -> Deployment:
        sha = self.repository.commit(files, "An attack", onto=self.base, links=links)
        return self.slipway.deploy("target", sha)

    def build(self, script: str) -> Deployment:
        return self.deploy({"slipway.toml": RECIPE, "build.sh": script})

    def page(self, path: str = "/") -> httpx.Response:
        return self.slipway.get(self.slipway.hostname(self.app), path)

    def url(self, path: str) -> str:
        return f"http://{self.slipway.settings.web_address}{path}"

    def is_whole(self) -> bool:
        return httpx.get(self.url("/ready"), timeout=5, trust_env=False).status_code == 200


@pytest.fixture(scope="module")
def target(tmp_path_factory: pytest.TempPathFactory) -> Generator[Target]:
    folder = tmp_path_factory.mktemp("hostile")
    limits = {
        "SLIPWAY_BUILD_MEMORY": "256",
        "SLIPWAY_BUILD_PROCESSES": "64",
        "SLIPWAY_BUILD_OUTPUT": "64",
        "SLIPWAY_BUILD_TIMEOUT": "30",
        "SLIPWAY_LOG_BYTES": str(MIB),
    }
    slipway = Slipway(folder / "home", limits).up()
    repository = Repository(folder / "target")
    base = repository.commit({"robots.txt": "none"}, "Base")
    first = repository.commit({"index.html": "first"}, "First", onto=base)
    app = slipway.create_app(repository, "target")
    assert slipway.deploy("target", first).state is State.SUCCEEDED
    yield Target(slipway, repository, app, base)
    assert processes.marked(lambda name: name.startswith(slipway.settings.instance)) == set()
    assert list((slipway.home / "work").iterdir()) == []
    assert "Traceback" not in slipway.log.read_text()
    assert "error" not in slipway.run("doctor")
    slipway.down()


DEEP = "cd out; i=0; while [ $i -lt 1500 ]; do mkdir d; cd d; i=$((i+1)); done\n"
BOMB = "b() { b | b & }; b; sleep 0.5; exit 7\n"
REFUSED = {
    "30,000 files": (PAGE + "cd out; seq 30000 | xargs touch\n", "too-many-files"),
    "a large file": (PAGE + "head -c 27000000 /dev/zero > out/large\n", "file-too-large"),
    "a sparse file": (PAGE + "truncate -s 60G out/large\n", "build-failed"),
    "a huge file": ("head -c 80000000 /dev/zero > huge && exit 7\n" + PAGE + "exit 1\n", "build-failed"),
    "a fork bomb": (BOMB, "build-failed"),
    "memory": ("head -c 900000000 /dev/zero | tail || exit 1\n", "build-out-of-memory"),
    "output that is the disk": ("ln -s / out\n", "output-missing"),
    "output that is the home": ("ln -s {home} out\n", "output-missing"),
    "output that is a file": ("echo > out\n", "output-missing"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_a_build_that_goes_too_far_fails_by_name(target: Target, name: str):
    script, code = REFUSED[name]
    before = target.page().text
    ended = target.build(script.replace("{home}", str(target.slipway.home)))
    assert ended.failure is not None, target.slipway.log_of(ended.id)
    assert (ended.failure.code, ended.failure.blame) == (code, "user")
    assert target.page().text == before


LINKS = """
ln -s /etc/passwd out/passwd.txt; ln -s / out/disk; ln -s {home}/keys out/keys; ln -s loop out/loop
ln -s ../build.sh out/build.txt; mkfifo out/pipe; printf x > "$(printf 'out/a\\nb.html')"
printf x > "$(printf 'out/\\033[31m.html')"; printf x > "$(printf 'out/\\377.html')"
echo secret > out/closed.html; chmod 0 out/closed.html; mkdir out/-rf; echo x > 'out/-rf/<b>.html'
"""
ALLOWED = {
    "links": PAGE + LINKS,
    "deep folders": PAGE + f"({DEEP})\n",
    "closed folders": PAGE + "mkdir -p a/b; touch a/b/c; chmod 0 a/b a .\n",
    "daemons": PAGE
    + "setsid sleep 7411 & (trap '' TERM HUP; setsid sleep 7411 >/dev/null 2>&1 &) ; sleep 0.1\n",
    "many lines": "yes a line of a build | head -c 2000000\n" + PAGE,
    "one line": "head -c 30000000 /dev/zero | tr '\\0' x\n" + PAGE,
    "noise": "head -c 3000000 /dev/urandom\n" + PAGE,
}


@pytest.mark.parametrize("name", ALLOWED)
def test_a_build_that_only_looks_evil_goes_live_and_harms_nobody(target: Target, name: str):
    ended = target.build(ALLOWED[name].replace("{home}", str(target.slipway.home)))
    assert ended.state is State.SUCCEEDED, target.slipway.log_of(ended.id)
    assert target.page().text == "fine\n"
    for path in ("/passwd.txt", "/disk/etc/passwd", "/keys/console.key", "/build.txt", "/pipe", "/d/d/d/"):
        assert target.page(path).status_code == 404
    log = target.slipway.log_of(ended.id)
    assert len(log) < 2 * MIB
    assert "\033" not in log.split("package", 1)[1]
    running = [one for one in psutil.process_iter(["cmdline"]) if "7411" in (one.info["cmdline"] or [])]
    assert alive(running) == []
    wait_until(lambda: list((target.slipway.home / "work").iterdir()) == [], what="the work tree to go")


def test_a_build_that_prints_a_gigabyte_fills_neither_disk_nor_memory(target: Target):
    worker = target.slipway.find("jobs.worker")[0]
    sha = target.repository.commit(
        {"slipway.toml": RECIPE, "build.sh": "yes a line of a build | head -c 1073741824\n" + PAGE},
        "A gigabyte",
        onto=target.base,
    )
    made, most = target.slipway.deployment_of(target.slipway.push("target", sha)), 0

    def is_over() -> bool:
        nonlocal most
        for one in worker.children(recursive=True):
            with contextlib.suppress(psutil.Error):
                most = max(most, one.memory_info().rss)
        return target.slipway.deployment(made.id).state.is_final

    wait_until(is_over, 60, "the end of the build, or of its time")
    ended = target.slipway.deployment(made.id)
    assert ended.failure is None or ended.failure.code == "build-timed-out"
    assert most < 400 * MIB
    told = target.slipway.run("logs", f"DEP-{ended.id}", code=0 if ended.failure is None else 1)
    assert len(told) < 2 * MIB
    assert sum(path.stat().st_size for path in (target.slipway.home / "logs").rglob("*")) < 4 * MIB
    valkey = (target.slipway.find("valkey-server") or target.slipway.find("redis-server"))[0]
    assert valkey.memory_info().rss < 200 * MIB


def test_links_of_a_repository_lead_nowhere(target: Target):
    links = {
        "passwd": "/etc/passwd",
        "up": "../../../../../../../etc/passwd",
        "keys": str(target.slipway.home / "keys"),
        "loop": "loop",
        "404.html": "/etc/passwd",
        "_redirects": "/etc/passwd",
        "slipway.toml": "/etc/passwd",
        "package.json": "/etc/shadow",
    }
    ended = target.deploy({"index.html": "linked"}, links)
    assert ended.state is State.SUCCEEDED, target.slipway.log_of(ended.id)
    assert target.page().text == "linked"
    for path in ("/passwd", "/up", "/keys/console.key", "/nothing", "/slipway.toml", "/package.json"):
        answer = target.page(path)
        assert answer.status_code == 404
        assert "root:" not in answer.text


def test_a_build_that_looks_for_secrets_finds_none(target: Target):
    home = target.slipway.home
    key = console_key(target.slipway.settings)
    look = f"""{PAGE}
    (env; cat /proc/*/environ /proc/*/cmdline; cat /etc/shadow; cat {home}/keys/*; ls -la {home} {home.parent}
     ls -la /root; cat /proc/1/root{home}/keys/*; cat /proc/mounts; ls -la /proc/*/fd; ls / /tmp
     node -e 'require("net").connect("{home}/run/valkey.sock").on("connect",()=>console.log("IT ANSWERS"))'
    ) > out/seen.txt 2>&1
    tr '\\0' '\\n' < out/seen.txt > out/index.txt; rm out/seen.txt; cat out/index.txt
    """
    ended = target.build(look)
    assert ended.state is State.SUCCEEDED, target.slipway.log_of(ended.id)
    seen = target.page("/index.txt").text
    assert "SLIPWAY_COMMIT=" in seen
    for secret in (SECRET, key, "IT ANSWERS", "SLIPWAY_GITHUB", "SLIPWAY_HOME", "slipway.db", "root:"):
        assert secret not in seen


def test_a_build_that_ignores_every_signal_is_cancelled(target: Target):
    script = "trap '' TERM INT HUP; while :; do sleep 7422; done\n"
    sha = target.repository.commit({"slipway.toml": RECIPE, "build.sh": script}, "Stubborn", onto=target.base)
    made = target.slipway.deployment_of(target.slipway.push("target", sha))
    marked = lambda: processes.marked(lambda name: name.startswith(target.slipway.settings.instance))  # noqa: E731
    wait_until(lambda: len(marked()) > 0, 20, "the build to run")
    assert "cancelled" in target.slipway.run("cancel", f"DEP-{made.id}")
    assert marked() == set()


def signed(body: bytes, **headers: str) -> dict[str, str]:
    return {
        "Content-Type": "application/json",
        "X-GitHub-Event": "push",
        "X-GitHub-Delivery": str(uuid.uuid4()),
        "X-GitHub-Hook-ID": "7",
        "X-Hub-Signature-256": "sha256=" + hmac.new(SECRET.encode(), body, hashlib.sha256).hexdigest(),
        **headers,
    }


def push(**more: Any) -> bytes:
    repository = {"id": 1, "full_name": "acme/x", "default_branch": "main", **more.pop("repository", {})}
    whole = {
        "ref": "refs/heads/main",
        "before": "0" * 40,
        "after": "a" * 40,
        "repository": repository,
        **more,
    }
    return json.dumps(whole).encode()


BODIES = {
    "empty": b"",
    "null": b"null",
    "list": b"[]",
    "object": b"{}",
    "cut": b'{"ref":',
    "deep": b'{"repository":' + b'{"a":' * 100_000 + b"1" + b"}" * 100_001,
    "not utf-8": b'{"ref":"\xff\xfe"}',
    "lone surrogate": push().replace(b"heads/main", b"heads/\\ud800"),
    "nul": push().replace(b"heads/main", b"heads/\\u0000"),
    "large id": push(repository={"id": 2**63}),
    "huge id": push(repository={"id": 10**400}),
    "negative id": push(repository={"id": -1}),
    "infinite id": push().replace(b'"id": 1', b'"id": 1e400'),
    "wrong types": push(ref=1, after=[], commits={}, head_commit="x", sender=3),
    "name of a path": push(repository={"full_name": "../../etc"}),
    "long ref": push(ref="refs/heads/" + "x" * MIB),
    "option as ref": push(ref="refs/heads/--upload-pack=touch"),
    "option as sha": push(after="--output=/tmp/pwn"),
}
EVENTS = ("push", "pull_request", "delete", "installation", "installation_repositories", "repository", "zzz")


def test_no_delivery_is_an_error_of_ours_and_all_are_decided(target: Target):
    url = target.url("/webhooks/github")
    with httpx.Client(timeout=20, trust_env=False) as client:
        for name, body in BODIES.items():
            for event in EVENTS:
                answer = client.post(url, content=body, headers=signed(body, **{"X-GitHub-Event": event}))
                assert answer.status_code in (202, 400), (name, event, answer.text)
            form = "application/x-www-form-urlencoded"
            answer = client.post(url, content=body, headers=signed(body, **{"Content-Type": form}))
            assert answer.status_code in (202, 400), name
            forged = signed(b"another body")
            assert client.post(url, content=body, headers=forged).status_code in (400, 401), name
    wait_until(lambda: target.slipway.undecided() == 0, 20, "every delivery to be decided about")
    assert target.is_whole()


def test_50_bodies_of_20_mib_at_once_stay_within_memory(target: Target):
    web = target.slipway.find("bot.web")[0]
    body = b'{"a":"' + b"x" * (20 * MIB) + b'"}'
    url, headers = target.url("/webhooks/github"), signed(b"another body")

    def send(_number: int) -> int:
        return httpx.post(url, content=body, headers=headers, timeout=60, trust_env=False).status_code

    with ThreadPoolExecutor(50) as pool:
        codes = list(pool.map(send, range(50)))
    assert set(codes) <= {401, 503}
    assert 401 in codes
    status = Path(f"/proc/{web.pid}/status").read_text()
    peak = next(int(line.split()[1]) for line in status.splitlines() if line.startswith("VmHWM"))
    assert peak < 900 * 1024, f"{peak} KiB"
    assert target.is_whole()


ODD_REQUESTS = {
    "rubbish": (bytes(range(256)) + b"\r\n\r\n", b"400"),
    "two lengths": (
        b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nab",
        b"400",
    ),
    "length and chunks": (
        b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        b"400",
    ),
    "a huge chunk": (
        b"POST /webhooks/github HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n"
        + b"F" * 20
        + b"\r\n",
        b"400",
    ),
    "a header of 8 MiB": (b"GET / HTTP/1.1\r\nX: " + b"a" * 8 * MIB + b"\r\n\r\n", b"431"),
    "200,000 headers": (b"GET / HTTP/1.1\r\n" + b"X-Y: 1234567890\r\n" * 200_000 + b"\r\n", b"431"),
    "a bad cookie": (b"GET / HTTP/1.1\r\nHost: x\r\nCookie: slipway=9999999999.\xe9\r\n\r\n", b"303"),
    "a bad bearer": (b"GET / HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer \xff\r\n\r\n", b"303"),
    "encoded nul": (b"GET /deployments/%00 HTTP/1.1\r\nHost: x\r\n\r\n", b"303"),
}


@pytest.mark.parametrize("name", ODD_REQUESTS)
def test_odd_requests_are_refused(target: Target, name: str):
    sent, code = ODD_REQUESTS[name]
    host, port = target.slipway.settings.web_address.split(":")
    with socket.create_connection((host, int(port)), timeout=10) as client:
        try:
            client.sendall(sent)
        except (BrokenPipeError, ConnectionResetError):
            assert code == b"431"
        try:
            assert client.recv(100).split(b" ")[1:2] == [code]
        except ConnectionResetError:
            assert code == b"431"
    assert target.is_whole()


def test_the_edge_serves_nothing_but_sites(target: Target):
    host = target.slipway.hostname(target.app)
    odd = ["..", ".", "../keys", "%2e%2e", "", "*", "x" * 300, f"{host}\\..", f"{host}/..", "[::1]", "hosts"]
    paths = ["/../../keys/console.key", "/%2e%2e/%2e%2e/slipway.db", "/..%2f..%2fslipway.db", "/%00", "/%ff"]
    paths += ["/" + "a/" * 2000, "/" + "a" * 5000, "/..\\..\\keys", "/.%00./x"]
    for name, path in [*((one, "/slipway.db") for one in odd), *((host, one) for one in paths)]:
        with socket.create_connection(("127.0.0.1", target.slipway.settings.edge_port), timeout=10) as client:
            client.sendall(f"GET {path} HTTP/1.1\r\nHost: {name}\r\nConnection: close\r\n\r\n".encode())
            answer = client.recv(65536)
        assert answer.split(b" ")[1:2] in ([b"400"], [b"404"], [b"308"]), (name, path, answer[:200])
    assert target.page().status_code == 200


def test_the_console_shows_hostile_words_as_words(target: Target):
    evil = '"><script>alert(1)</script><img src=x onerror=alert(2)>'
    script = f"echo '{evil.replace(chr(39), '')}'; printf '\\033]0;{evil}\\007'\n" + PAGE
    sha = target.repository.commit({"slipway.toml": RECIPE, "build.sh": script}, evil, onto=target.base)
    ended = target.slipway.deploy("target", sha, message=evil, login=evil)
    key = {"Authorization": f"Bearer {console_key(target.slipway.settings)}"}
    with httpx.Client(headers=key, timeout=10, trust_env=False) as client:
        for path in ("/", f"/deployments/DEP-{ended.id}"):
            page = client.get(target.url(path))
            assert page.status_code == 200
            assert "<script>alert" not in page.text
            assert "<img src=x" not in page.text
            assert "script-src" in page.headers["Content-Security-Policy"]
        stream = client.get(target.url(f"/api/v1/deployments/DEP-{ended.id}/stream"))
        assert stream.headers["Content-Type"].startswith("text/event-stream")


def test_nobody_enters_without_the_key(target: Target):
    forged = [{}, {"Cookie": "slipway=9999999999.abc"}, {"Cookie": "slipway="}, {"Authorization": "Bearer x"}]
    for headers in forged:
        page = httpx.get(target.url("/"), headers=headers, trust_env=False)
        assert page.status_code == 303
        stream = httpx.get(target.url("/api/v1/deployments/DEP-1/stream"), headers=headers, trust_env=False)
        assert stream.status_code == 401
    key = console_key(target.slipway.settings)
    for following in ("//evil.example", "/\\evil.example", "https://evil.example", "/\tevil", "/%0d%0aX: 1"):
        data = {"key": key, "next": following}
        entered = httpx.post(target.url("/sign-in"), data=data, trust_env=False)
        assert entered.status_code == 303
        assert "evil.example" not in entered.headers["Location"]
    away = {"Origin": "https://evil.example", "Sec-Fetch-Site": "cross-site"}
    assert (
        httpx.post(target.url("/sign-in"), data={"key": key}, headers=away, trust_env=False).status_code
        == 403
    )
    assert httpx.post(target.url("/sign-out"), headers=away, trust_env=False).status_code == 403
    for number in (2**63, 10**30):
        path = f"/api/v1/deployments/DEP-{number}/stream"
        bearer = {"Authorization": f"Bearer {key}"}
        assert httpx.get(target.url(path), headers=bearer, trust_env=False).status_code == 404
