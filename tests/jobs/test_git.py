import os
import stat
from collections.abc import Generator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from ipaddress import ip_network
from pathlib import Path
from subprocess import run
from threading import Event, Thread
from typing import Any

import psutil
import pytest

from bot.domain.ids import Sha, TenantId
from bot.errors import ErrorCode, PlatformError, UserError
from bot.settings import Settings
from jobs.git import Mirrors
from jobs.git.command import Git, GitFailedError, GitStoppedError
from jobs.git.remotes import Remote, mask, remote_of, shown
from jobs.git.share import WINDOW_SECONDS, Share
from jobs.git.talk import Asking, talk
from jobs.git.way import Place, Ways, place_of
from tests.fakes.contexts import make_app
from tests.fakes.repository import Repository
from tests.waiting import wait_until

GONE = Sha("1" * 40)


@pytest.fixture
def repository(tmp_path: Path) -> Repository:
    return Repository(tmp_path / "origin.git")


@pytest.fixture
def mirrors(tmp_path: Path) -> Mirrors:
    return Mirrors(allowing(tmp_path), lambda _: None)


def allowing(folder: Path, **more: str) -> Settings:
    return Settings.model_validate({"home": folder / "home", "outgoing_networks": "127.0.0.1", **more})


def test_heads_files_and_differences_are_read_from_the_mirror(repository: Repository, mirrors: Mirrors):
    app = make_app(repository.url)
    first = repository.commit({"a.txt": "1", "sub/b.txt": "2", "gone": "3"})
    second = repository.commit({"a.txt": "x", "ü\n": "new", "gone": None})
    assert mirrors.head(app, "main") is None
    mirrors.fetch(app)
    assert mirrors.head(app, "main") == second
    assert mirrors.read(app, first, "a.txt", 10) == b"1"
    assert mirrors.read(app, second, "a.txt", 0) is None
    assert mirrors.read(app, second, "nothing", 10) is None
    assert mirrors.read(app, second, "sub", 10) is None
    changed = mirrors.changed(app, first, second)
    assert changed is not None
    assert sorted(changed) == ["a.txt", "gone", "ü\n"]
    assert mirrors.changed(app, None, second) is None
    assert mirrors.changed(app, GONE, second) is None
    assert mirrors.tree_id(app, first, "sub") == mirrors.tree_id(app, second, "/sub/")
    assert mirrors.tree_id(app, first) != mirrors.tree_id(app, second)
    assert mirrors.tree_id(app, first, "a.txt") is None


def test_deleted_and_forced_branches_are_followed(repository: Repository, mirrors: Mirrors):
    app = make_app(repository.url)
    first = repository.commit({"a": "1"})
    repository.commit({"a": "2"}, branch="old")
    second = repository.commit({"a": "3"})
    mirrors.fetch(app)
    repository.force("main", first)
    repository.delete("old")
    repository.commit({"a": "4"}, branch="old/below")
    mirrors.fetch(app)
    assert mirrors.head(app, "main") == first
    assert mirrors.head(app, "old") is None
    assert mirrors.head(app, "old/below")
    assert mirrors.changed(app, second, first) == ["a"]


def test_a_commit_that_no_branch_holds_any_more_is_fetched_by_its_id(
    repository: Repository, mirrors: Mirrors
):
    app = make_app(repository.url)
    base = repository.commit({"a": "1"})
    lost = repository.commit({"a": "2"})
    repository.force("main", base)
    mirrors.fetch(app)
    assert not mirrors.has(app, lost)
    assert mirrors.fetch_commit(app, lost)
    assert not mirrors.fetch_commit(app, lost)
    assert mirrors.read(app, lost, "a", 10) == b"2"
    with pytest.raises(UserError) as caught:
        mirrors.fetch_commit(app, GONE)
    assert caught.value.code is ErrorCode.COMMIT_GONE


def test_the_newest_head_is_the_remotes(repository: Repository, mirrors: Mirrors):
    app = make_app(repository.url)
    repository.commit({"a": "1"})
    mirrors.fetch(app)
    second = repository.commit({"a": "2"})
    assert mirrors.newest_head(app, "main") == second
    with pytest.raises(UserError) as caught:
        mirrors.newest_head(app, "mai")
    assert caught.value.code is ErrorCode.BRANCH_GONE


def test_many_fetches_at_once_and_many_packs_do_no_harm(repository: Repository, mirrors: Mirrors):
    app = make_app(repository.url)
    shas = [repository.commit({"a": str(number)}) for number in range(6)]
    with ThreadPoolExecutor(6) as pool:
        for fetched in [pool.submit(mirrors.fetch_commit, app, sha) for sha in shas]:
            fetched.result(20)
    assert all(mirrors.has(app, sha) for sha in shas)
    packs = mirrors.path(app) / "objects" / "pack"
    for number in range(60):
        (packs / f"pack-{number:040x}.pack").touch()
    repository.commit({"a": "last"})
    mirrors.fetch(app)
    assert all(mirrors.has(app, sha) for sha in shas)


def test_lock_files_of_a_killed_git_are_removed(repository: Repository, mirrors: Mirrors):
    app = make_app(repository.url)
    repository.commit({"a": "1"})
    mirrors.fetch(app)
    for name in ("packed-refs.lock", "refs/heads/main.lock", "shallow.lock"):
        (mirrors.path(app) / name).touch()
    newest = repository.commit({"a": "2"})
    mirrors.fetch(app)
    assert mirrors.head(app, "main") == newest


def test_an_unreachable_repository_is_told_without_its_password(mirrors: Mirrors):
    for url in ("file:///nowhere", "http://me:s3cret@127.0.0.1:9/x.git", "ext::sh -c true", "/nowhere"):
        with pytest.raises(UserError) as caught:
            mirrors.fetch(make_app(url))
        assert caught.value.code is ErrorCode.REPOSITORY_UNREACHABLE
        assert "s3cret" not in str(caught.value)
        assert caught.value.facts["detail"]


def test_configuration_and_hooks_of_the_machine_are_not_used(
    repository: Repository, mirrors: Mirrors, tmp_path: Path
):
    trap = tmp_path / "sprung"
    home = tmp_path / "person"
    home.mkdir()
    (home / ".gitconfig").write_text(f'[core]\n\tfsmonitor = "touch {trap}"\n')
    app = make_app(repository.url)
    repository.commit({"a": "1"})
    mirrors.fetch(app)
    hook = mirrors.path(app) / "hooks" / "reference-transaction"
    hook.parent.mkdir(exist_ok=True)
    hook.write_text(f"#!/bin/sh\ntouch {trap}\n")
    hook.chmod(0o755)
    repository.commit({"a": "2"})
    mirrors.fetch(app)
    assert not trap.exists()


def test_a_repository_of_another_user_is_read(repository: Repository, mirrors: Mirrors):
    if os.getuid() != 0:
        pytest.skip("only root can give files away")
    repository.commit({"a": "1"})
    run(["chown", "-R", "nobody", repository.path], check=True)
    mirrors.fetch(make_app(repository.url))


class _Asked(BaseHTTPRequestHandler):
    seen: list[tuple[str, str | None]]
    hang: Event | None = None
    to = ""

    def do_GET(self) -> None:
        self.seen.append((self.path, self.headers["Authorization"]))
        if self.hang is not None:
            self.hang.wait(20)
        self.send_response(302 if self.to else 404)
        if self.to:
            self.send_header("Location", self.to + self.path)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 the name is the base class's
        pass


@contextmanager
def server(hang: Event | None = None) -> Generator[tuple[str, list[tuple[str, str | None]]]]:
    handler = type("Handler", (_Asked,), {"seen": [], "hang": hang})
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as http:
        Thread(target=http.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()
        yield f"127.0.0.1:{http.server_port}", handler.seen
        if hang:
            hang.set()
        http.shutdown()


def test_a_token_goes_to_github_alone_and_an_own_password_to_its_own_host(tmp_path: Path):
    with server() as (github, at_github), server() as (other, elsewhere):
        settings = allowing(tmp_path, github_url=f"http://{github}")
        mirrors = Mirrors(settings, lambda _: "t0ken")
        for url in (
            f"http://{github}/a/b.git",
            f"http://{other}/a/b.git",
            f"http://me:pw%21@{other}/c/d.git",
        ):
            with pytest.raises(UserError):
                mirrors.fetch(make_app(url))
        kept = b"".join(path.read_bytes() for path in (tmp_path / "home").rglob("*") if path.is_file())
    # 'x-access-token:t0ken' and 'me:pw!', base64.
    assert {auth for _, auth in at_github} == {"Basic eC1hY2Nlc3MtdG9rZW46dDBrZW4="}
    assert {(path[:4], auth) for path, auth in elsewhere} == {("/a/b", None), ("/c/d", "Basic bWU6cHch")}
    assert b"t0ken" not in kept
    assert b"pw!" not in kept


def test_a_stopped_fetch_ends_at_once_with_all_its_processes_and_shows_no_secret(tmp_path: Path):
    stop, hang = Event(), Event()
    mirrors = Mirrors(allowing(tmp_path), lambda _: None)
    with server(hang) as (host, seen), ThreadPoolExecutor(1) as pool:
        app = make_app(f"http://me:s3cret@{host}/a/b.git")
        fetch = pool.submit(mirrors.fetch, app, stopped=stop.is_set)
        wait_until(lambda: seen, what="git asks")
        running = [one for one in psutil.Process().children(recursive=True) if "git" in one.name()]
        assert running
        assert not any("s3cret" in " ".join(one.cmdline()) for one in running)
        stop.set()
        with pytest.raises(GitStoppedError):
            fetch.result(5)
        wait_until(lambda: not any(one.is_running() for one in running), what="git is gone")


def test_a_git_that_was_killed_is_no_fault_of_the_repository(mirrors: Mirrors):
    hang = Event()
    with server(hang) as (host, seen), ThreadPoolExecutor(1) as pool:
        fetch = pool.submit(mirrors.fetch, make_app(f"http://{host}/a/b.git"))
        wait_until(lambda: seen, what="git asks")
        for one in psutil.Process().children(recursive=True):
            one.kill()
        with pytest.raises(PlatformError) as caught:
            fetch.result(10)
    assert caught.value.code is ErrorCode.REPOSITORY_SILENT
    assert caught.value.facts["detail"] == "git was killed"


def test_local_work_of_a_git_that_was_killed_is_done_again(repository: Repository, mirrors: Mirrors):
    app = make_app(repository.url)
    mirrors.fetch_commit(app, repository.commit({"a": "1"}))
    marker = mirrors.home / "once"
    alias = f"alias.once=!test -e {marker} && echo done || {{ touch {marker}; kill -9 $PPID; sleep 9; }}"
    assert mirrors.git.must(["-c", alias, "once"]) == b"done\n"


def test_a_fetch_that_takes_too_long_is_given_up(mirrors: Mirrors):
    with server(Event()) as (host, _):
        with pytest.raises(PlatformError) as caught:
            mirrors.fetch(make_app(f"http://{host}/a/b.git"), seconds=0.3)
        assert caught.value.code is ErrorCode.REPOSITORY_SILENT
        assert caught.value.facts["detail"] == "no answer within 0 s"


@pytest.mark.parametrize(
    "url",
    [
        "http://{host}/a/b.git",
        "http://localhost:{port}/a/b.git",
        "http://0x7f000001:{port}/a/b.git",
        "http://[::ffff:127.0.0.1]:{port}/a/b.git",
        "https://169.254.169.254/latest/meta-data",
        "ssh://git@127.0.0.1:{port}/a/b.git",
        "git@127.0.0.1:a/b.git",
        "git@-oProxyCommand=touch:a/b.git",
        "ssh://-oProxyCommand=touch/a/b.git",
    ],
)
def test_servers_at_private_addresses_are_not_asked(tmp_path: Path, url: str):
    # The operator's own GitHub may be at one; other ports of the same machine are others' business.
    settings = Settings.model_validate({"home": tmp_path / "home", "github_url": "http://127.0.0.2:9"})
    with server() as (host, asked):
        clone_url = url.format(host=host, port=host.partition(":")[2])
        with pytest.raises(UserError) as caught:
            Mirrors(settings, lambda _: None).fetch(make_app(clone_url))
    assert caught.value.code is ErrorCode.REPOSITORY_UNREACHABLE
    assert any(words in str(caught.value) for words in ("private address", "not the name of a server"))
    assert asked == []


def test_git_dials_the_address_that_was_looked_at(tmp_path: Path):
    git = Git(tmp_path)
    assert git.must(["init", "--quiet", "--bare", str(tmp_path / "here")]) == b""
    allowed = [ip_network("127.0.0.1")]
    ways = Ways("https://github.com", allowed, proxies={}, resolve=lambda _host, _port: ["127.0.0.1"])
    argv = [f"--git-dir={tmp_path / 'here'}", "ls-remote", "origin"]
    asking = Asking(argv, 10, lambda: False)
    with server() as (host, asked):
        # No resolver knows this name: git does not ask one.
        url = f"http://git.example.invalid:{host.partition(':')[2]}/a/b.git"
        with pytest.raises(UserError):
            talk(git, ways, Remote(url, ()), make_app(url), asking=asking)
    assert [path for path, _ in asked] == ["/a/b.git/info/refs?service=git-upload-pack"]


def test_nobody_is_sent_on_to_another_server(mirrors: Mirrors):
    with server() as (inside, asked):
        place = f"http://127.0.0.2:{inside.partition(':')[2]}/"
        handler = type("Sends", (_Asked,), {"seen": [], "to": place})
        with ThreadingHTTPServer(("127.0.0.1", 0), handler) as http:
            Thread(target=http.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()
            with pytest.raises(UserError):
                mirrors.fetch(make_app(f"http://127.0.0.1:{http.server_port}/a/b.git"))
            http.shutdown()
    assert len(handler.seen) == 1
    assert asked == []


def test_who_is_slow_takes_no_more_than_a_share_of_a_process():
    moment = 0.0
    share, slow, other = Share(lambda: moment), TenantId(1), TenantId(2)
    for _ in range(1000):
        with share.taking(slow):
            moment += 1
    assert not share.is_used_up(slow)
    for _ in range(2):
        assert not share.is_used_up(slow)
        with suppress(TimeoutError), share.taking(slow):
            moment += 120
            raise TimeoutError
    assert (share.is_used_up(slow), share.is_used_up(other)) == (True, False)
    moment += WINDOW_SECONDS
    assert not share.is_used_up(slow)


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("https://git.example/a", Place("https", "git.example", 443)),
        ("HTTPS://me:pw@Git.Example:8443/a", Place("https", "git.example", 8443)),
        ("ssh://git@git.example/a", Place("ssh", "git.example", 22)),
        ("git@git.example:a/b.git", Place("ssh", "git.example", 22)),
        ("git.example:/a/b.git", Place("ssh", "git.example", 22)),
        ("git@[::1]:a/b.git", Place("ssh", "::1", 22)),
        ("file:///a/b", None),
        ("/a/b:c", None),
        ("ext::sh -c true", None),
    ],
)
def test_where_a_clone_url_leads_to(url: str, expected: Place | None):
    assert place_of(url) == expected


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("https://github.com/a/b.git", "https://github.com/a/b.git"),
        ("https://me:pw@git.example/a", "https://***@git.example/a"),
        ("https://t0ken@git.example/a", "https://***@git.example/a"),
        ("ssh://git@git.example/a", "ssh://git@git.example/a"),
        ("ssh://git:pw@git.example/a", "ssh://***@git.example/a"),
        ("git@github.com:a/b.git", "git@github.com:a/b.git"),
        ("file:///a/b", "file:///a/b"),
    ],
)
def test_clone_urls_are_shown_without_secrets(url: str, expected: str):
    assert shown(make_app(url)) == expected


def test_no_secret_is_left_in_a_remotes_url():
    remote = remote_of(make_app("https://me:p%40w@git.example:8443/a"), "https://github.com", lambda _: "t")
    assert remote.url == "https://git.example:8443/a"
    assert remote.secrets[0][0] == "http.https://git.example:8443/.extraHeader"
    assert mask("fatal: https://me:pw@x/y: no") == "fatal: https://***@x/y: no"


def test_the_configuration_is_for_its_owner_to_write(
    repository: Repository, mirrors: Mirrors, tmp_path: Path
):
    repository.commit({"a": "1"})
    mirrors.fetch(make_app(repository.url))
    mode = (tmp_path / "home" / "mirrors" / "gitconfig").stat().st_mode
    assert not mode & (stat.S_IWGRP | stat.S_IWOTH)


def test_processes_that_are_kept_answer_as_others_do(repository: Repository, mirrors: Mirrors):
    app, other = make_app(repository.url), make_app("https://localhost/nothing")
    first = repository.commit({"a.txt": "1", "sub/b.txt": "x\ny\0z", "empty": ""}, "Subject\n\nBödy\n")
    mirrors.fetch(app)

    def answers() -> list[object]:
        return [
            mirrors.head(app, "main"),
            mirrors.head(app, "none"),
            mirrors.read(app, first, "sub/b.txt", 100),
            mirrors.read(app, first, "empty", 100),
            mirrors.file(app, first, "a.txt", 100),
            mirrors.read(app, first, "sub/b.txt", 1),
            mirrors.read(app, first, "new\nline", 100),
            mirrors.tree_id(app, first, "sub"),
            mirrors.message(app, first),
            mirrors.has(app, GONE),
            mirrors.has(other, first),
        ]

    apart = answers()
    assert apart[8] == "Subject\n\nBödy"
    with mirrors.kept_open():
        assert answers() == apart
        second = repository.commit({"a.txt": "2"})
        assert not mirrors.has(app, second)
        mirrors.fetch(app)
        assert mirrors.head(app, "main") == second
        with mirrors.kept_open():
            assert mirrors.read(app, second, "a.txt", 10) == b"2"
        assert [one.name() for one in psutil.Process().children()].count("git") > 0
    assert [one.name() for one in psutil.Process().children()].count("git") == 0
    assert answers()[1:] == apart[1:]


def test_a_kept_process_that_was_killed_is_begun_anew(repository: Repository, mirrors: Mirrors):
    app = make_app(repository.url)
    sha = repository.commit({"a": "1"})
    mirrors.fetch(app)
    with mirrors.kept_open():
        assert mirrors.has(app, sha)
        for child in psutil.Process().children():
            child.kill()
        assert mirrors.has(app, sha)
        assert mirrors.read(app, sha, "a", 10) == b"1"
        for child in psutil.Process().children():
            child.kill()
        assert mirrors.read(app, sha, "a", 10) == b"1"
    (mirrors.path(app) / "HEAD").unlink()
    with mirrors.kept_open(), pytest.raises(GitFailedError):
        # One that can't answer is not asked for ever.
        mirrors.has(app, sha)


def test_what_was_fetched_just_now_is_not_asked_again(repository: Repository, mirrors: Mirrors):
    app = make_app(repository.url)
    sha = repository.commit({"a": "1"})
    repository.point("refs/pull/7/head", sha)
    main, pull = "refs/heads/main", "refs/pull/7/head"
    assert mirrors.lately(app, (main,)) is None
    mirrors.fetch(app)
    assert mirrors.lately(app, (main, "refs/heads/none")) == {main: sha}
    assert mirrors.lately(app, (main, pull)) is None
    mirrors.fetch(app, below=("refs/pull/7",))
    assert mirrors.lately(app, (main, pull)) == {main: sha, pull: sha}
    # The mark tells when; what it tells of another life of the machine, or of another hour, is not believed.
    mark = mirrors.path(app) / "slipway-fetched"
    for old, new in (('"steady":', '"steady":9'), ('"wall":', '"wall":9'), ("{", "[")):
        whole = mark.read_text()
        mark.write_text(whole.replace(old, new))
        assert mirrors.lately(app, (main,)) is None
        mark.write_text(whole)
    assert mirrors.lately(app, (main,)) == {main: sha}
