"""What somebody who may run any command in a box can see and reach."""

import errno
import os
import platform
import socket
import time
from pathlib import Path

import pytest

from jobs.sandbox import syscalls
from tests.jobs.boxes import Bench, own, working_bubblewrap

SECRET = "a-secret-of-the-worker"
REFUSED = {"x86_64": (248, 249, 250, 298, 321, 425), "aarch64": (217, 218, 219, 241, 280, 425)}[
    platform.machine()
]


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


def test_a_machine_without_memory_ends_builds_first(bench: Bench):
    assert bench.shell("cat /proc/1/oom_score_adj /proc/self/oom_score_adj") == "1000\n1000\n"


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


CALLS = """
import ctypes, errno, os, socket, sys
libc = ctypes.CDLL(None, use_errno=True)
def said(name, done):
    print(name, errno.errorcode[ctypes.get_errno()] if done < 0 else "DONE")
for family in map(int, sys.argv[1].split(",")):
    try:
        socket.socket(family, socket.SOCK_STREAM if family != 16 else socket.SOCK_RAW).close()
        print(family, "DONE")
    except OSError as error:
        print(family, errno.errorcode[error.errno])
for name, number in (pair.split("=") for pair in sys.argv[2].split(",")):
    said(name, libc.syscall(int(number), 1, ctypes.create_string_buffer(256), 0, 0, 0))
"""


def test_without_network_no_socket_leads_to_the_machine_s_host_and_none_goes_around_the_filter(bench: Bench):
    names = ("add_key", "request_key", "keyctl", "perf_event_open", "bpf", "io_uring_setup")
    numbers = dict(zip(names, REFUSED, strict=True))
    asked = ",".join(f"{name}={number}" for name, number in numbers.items())
    # AF_UNIX, AF_INET, AF_INET6, AF_NETLINK; AF_VSOCK, AF_ALG, AF_PACKET, AF_BLUETOOTH.
    bench.run("python3", "-c", CALLS, "1,2,10,16,40,38,17,31", asked, network=False)
    said = dict(line.split() for line in bench.text.splitlines())
    assert [said[family] for family in ("1", "2", "10", "16")] == ["DONE"] * 4
    assert {said[family] for family in ("40", "38", "17", "31")} == {"EAFNOSUPPORT"}
    assert {said[name] for name in numbers} == {"EPERM"}
    bench.said.clear()
    # Trusted code has the machine's network whole.
    bench.run("python3", "-c", "import socket; socket.socket(40, socket.SOCK_STREAM); print('made')")
    assert "EPERM" not in bench.text


def judged(machine: str, number: int, *, architecture: int | None = None, first: int = 0) -> int:
    """What the kernel would answer to a call."""
    code = syscalls.program(machine)
    assert code is not None
    own = code[1][3]
    data = {
        syscalls.NUMBER_AT: number,
        syscalls.ARCHITECTURE_AT: own if architecture is None else architecture,
        syscalls.FIRST_ARGUMENT_AT: first & 0xFFFFFFFF,
    }
    at = loaded = 0
    while True:
        what, if_so, if_not, value = code[at]
        at += 1
        if what == syscalls.RETURN:
            return value
        if what == syscalls.LOAD:
            loaded = data[value]
        else:
            holds = loaded == value if what == syscalls.EQUAL else loaded >= value
            at += if_so if holds else if_not


EPERM, EAFNOSUPPORT = syscalls.FAIL | errno.EPERM, syscalls.FAIL | errno.EAFNOSUPPORT


@pytest.mark.parametrize(("machine", "socket_call"), [("x86_64", 41), ("aarch64", 198)])
def test_the_filter_of_calls_has_no_other_door(machine: str, socket_call: int):
    assert judged(machine, 0) == syscalls.ALLOW
    assert judged(machine, socket_call, first=socket.AF_INET) == syscalls.ALLOW
    # The kernel takes the lower half of a register for the family.
    assert judged(machine, socket_call, first=(1 << 32) + 40) == EAFNOSUPPORT
    assert judged(machine, socket_call, first=40) == EAFNOSUPPORT
    # As a program of 32 bits asks, and by x86-64's second convention.
    assert judged(machine, 359, architecture=0x40000003, first=40) == EPERM
    assert judged(machine, 0x40000000 + socket_call, first=40) == EPERM
    assert judged(machine, 425) == EPERM


def test_a_machine_whose_calls_are_not_known_runs_no_stranger_s_code():
    assert syscalls.program("riscv64") is None
