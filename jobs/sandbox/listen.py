"""Started by path: opens a listening socket in the network of a box and hands it over.

    python -I -S listen.py PID SOCKET PORT

PID is a process in that network, SOCKET a descriptor of a Unix socket that the new one is sent through.
It is a program of its own, since only a process with one thread may enter a user namespace (setns(2)).
Whoever made the box may enter the user namespace that its network belongs to; root needs not.
"""

import ctypes
import fcntl
import os
import socket
import sys

# From <sched.h> and <linux/nsfs.h>.
CLONE_NEWUSER = 0x10000000
CLONE_NEWNET = 0x40000000
NS_GET_USERNS = 0xB701
BACKLOG = 128


def main(pid: str, through: str, port: str) -> None:
    """Enter, listen, hand over."""
    network = os.open(f"/proc/{pid}/ns/net", os.O_RDONLY)
    owner = fcntl.ioctl(network, NS_GET_USERNS)
    try:
        _enter(network, CLONE_NEWNET)
    except PermissionError:
        _enter(owner, CLONE_NEWUSER)
        _enter(network, CLONE_NEWNET)
    # The box alone is in its network, so that every address of it is the box's own.
    listener = socket.create_server(("0.0.0.0", int(port)), backlog=BACKLOG)  # noqa: S104
    with listener, socket.socket(fileno=int(through)) as way:
        socket.send_fds(way, [b"."], [listener.fileno()])


def _enter(namespace: int, kind: int) -> None:
    if ctypes.CDLL(None, use_errno=True).setns(namespace, kind) != 0:
        number = ctypes.get_errno()
        raise OSError(number, f"setns: {os.strerror(number)}")


if __name__ == "__main__":
    try:
        main(*sys.argv[1:])
    except OSError as error:
        sys.exit(f"slipway: {error}")
