"""What somebody who may run any command in a box can see and reach."""

import os
import socket
import time
from pathlib import Path

import pytest

from tests.jobs.boxes import Bench, own, working_bubblewrap

SECRET = "a-secret-of-the-worker"


@pytest.fixture
def bench(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Bench:
    monkeypatch.setenv("SLIPWAY_GITHUB_TOKEN", SECRET)
    sandbox = working_bubblewrap(tmp_path / "home")
    if sandbox is None:
        pytest.skip("bubblewrap does not work on this machine")
    work = tmp_path / "home" / "work"
    work.mkdir(parents=True)
    own(work, sandbox)
    return Bench(sandbox, work, f"walls-{time.monotonic_ns()}")


def test_no_environment_of_ours_can_be_read(bench: Bench):
    assert SECRET not in bench.shell("env; cat /proc/[0-9]*/environ; cat /proc/[0-9]*/cmdline")


def test_only_the_box_own_processes_are_there(bench: Bench):
    pids = bench.shell("echo /proc/[0-9]*").split()
    assert len(pids) <= 3
    assert "No such process" in bench.shell(f"kill -0 {os.getpid()}")


def test_the_home_and_its_socket_and_the_work_folder_s_real_path_are_not_there(bench: Bench, tmp_path: Path):
    home = tmp_path / "home"
    (home / "slipway.db").write_text(SECRET)
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(home / "v.sock"))
        listener.listen()
        script = (
            f"cat {home}/slipway.db; ls {home} /root /home /var /run /work 2>&1;"
            f"python3 -c \"import socket; socket.socket(socket.AF_UNIX).connect('{home}/v.sock')\""
        )
        said = bench.shell(script)
    assert SECRET not in said
    assert "FileNotFoundError" in said
    assert said.count("No such file or directory") >= 6


def test_no_descriptor_leads_out(bench: Bench):
    links = bench.shell(
        "for f in /proc/1/fd/* /proc/2/fd/* /proc/self/fd/*; do readlink $f; done"
    ).splitlines()
    allowed = ("/dev/null", "pipe:", "anon_inode:", "/proc/")
    assert [link for link in links if not link.startswith(allowed)] == []


def test_the_system_can_be_read_but_not_written(bench: Bench):
    script = "touch /usr/x /etc/x /x /build/../y; chmod 777 /usr/bin/sh; mount -t tmpfs t /usr; echo end"
    bench.shell(script)
    assert not any(Path(name).exists() for name in ("/usr/x", "/etc/x", "/x"))
    assert bench.text.count("Read-only file system") >= 4


def test_no_privilege_is_left_and_none_can_be_had(bench: Bench):
    status = bench.shell("grep -E '^(Cap|NoNewPrivs)' /proc/self/status; unshare -U true && echo nested")
    assert {line.split()[1] for line in status.splitlines() if line.startswith("Cap")} == {"0" * 16}
    assert "NoNewPrivs:\t1" in status
    assert "nested" not in status


def test_private_keys_of_the_machine_are_not_there(bench: Bench):
    assert bench.shell("ls -A /etc/ssl/private 2>/dev/null; cat /etc/shadow 2>/dev/null") == ""


def test_files_are_made_as_the_slot_s_user(bench: Bench):
    bench.shell("touch made")
    assert (bench.work / "made").stat().st_uid == (bench.sandbox.user(0) or os.getuid())
    if os.geteuid() == 0:
        assert bench.sandbox.user(0) != bench.sandbox.user(1) != 0


def test_without_network_not_even_loopback_of_the_machine_answers(bench: Bench):
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        call = f"import socket; socket.create_connection(('127.0.0.1', {port}), 2); print('reached')"
        bench.run("python3", "-c", call)
        assert "reached" in bench.text
        bench.said.clear()
        bench.run("python3", "-c", call, network=False)
    assert "reached" not in bench.text
