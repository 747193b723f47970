"""Which calls of the kernel strangers' code may not make, as a filter for seccomp(2). Pure.

A network namespace does not hold everything: a virtual machine's sockets (AF_VSOCK) lead to its host, and
to daemons of its own, from within any. So strangers get sockets of the usual families alone, and none of
the calls that go around a filter (io_uring) or lead into parts of the kernel that no build needs, as
containers do (docs.docker.com/engine/security/seccomp, "Significant syscalls blocked").
"""

import errno
import struct
from dataclasses import dataclass
from socket import AF_INET, AF_INET6, AF_UNIX

AF_NETLINK = 16
"""By which programs learn of network interfaces (linux/socket.h)."""
FAMILIES = (int(AF_UNIX), int(AF_INET), int(AF_INET6), AF_NETLINK)

# From <linux/bpf_common.h>, <linux/filter.h> and <linux/seccomp.h>.
LOAD, EQUAL, AT_LEAST, RETURN = 0x20, 0x15, 0x35, 0x06
NUMBER_AT, ARCHITECTURE_AT, FIRST_ARGUMENT_AT = 0, 4, 16
ALLOW, FAIL = 0x7FFF0000, 0x00050000
_X32 = 0x40000000
"""From here on the numbers of x86-64's other calling convention begin, which nothing needs."""


@dataclass(frozen=True)
class Calls:
    """An architecture's name of itself (linux/audit.h), and its numbers of calls (asm/unistd.h)."""

    architecture: int
    socket: int
    refused: tuple[int, ...]
    """add_key, request_key, keyctl, perf_event_open, bpf, userfaultfd, io_uring_setup, _enter, _register."""


_CALLS = {
    "x86_64": Calls(0xC000003E, 41, (248, 249, 250, 298, 321, 323, 425, 426, 427)),
    "aarch64": Calls(0xC00000B7, 198, (217, 218, 219, 241, 280, 282, 425, 426, 427)),
}

Instruction = tuple[int, int, int, int]
"""Its code, how many instructions to leave out when a comparison holds, and when not, and a number."""


def program(machine: str) -> list[Instruction] | None:
    """The filter for a machine as `uname -m` names it; None where its calls are not known."""
    calls = _CALLS.get(machine)
    if calls is None:
        return None
    return [
        (LOAD, 0, 0, ARCHITECTURE_AT),
        # Calls of another architecture have other numbers.
        (EQUAL, 1, 0, calls.architecture),
        _fail(errno.EPERM),
        (LOAD, 0, 0, NUMBER_AT),
        (AT_LEAST, 0, 1, _X32),
        _fail(errno.EPERM),
        *(one for number in calls.refused for one in ((EQUAL, 0, 1, number), _fail(errno.EPERM))),
        (EQUAL, 1, 0, calls.socket),
        (RETURN, 0, 0, ALLOW),
        (LOAD, 0, 0, FIRST_ARGUMENT_AT),
        *(one for family in FAMILIES for one in ((EQUAL, 0, 1, family), (RETURN, 0, 0, ALLOW))),
        _fail(errno.EAFNOSUPPORT),
    ]


def encoded(instructions: list[Instruction]) -> bytes:
    """A filter as the kernel takes it: `struct sock_filter`, one after the other."""
    return b"".join(struct.pack("=HBBI", *one) for one in instructions)


def _fail(number: int) -> Instruction:
    return (RETURN, 0, 0, FAIL | number)
