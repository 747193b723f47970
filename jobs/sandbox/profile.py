"""What a box of bubblewrap looks like from inside: the arguments that `bwrap` is given."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from jobs.sandbox.box import MIB, Box

UID = 1000
"""Who a command is inside."""
PASSWD = f"root:x:0:0:root:/:/usr/sbin/nologin\nbuild:x:{UID}:{UID}:build:/home/build:/bin/sh\n"
GROUP = f"root:x:0:\nbuild:x:{UID}:\n"
HOSTS = "127.0.0.1 localhost build\n::1 localhost\n"
SYSTEM_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"

# Of /etc only what programs need to resolve names, to trust certificates and to load libraries.
_ETC = """
alternatives ca-certificates crypto-policies fonts gai.conf host.conf hosts ld.so.cache ld.so.conf
ld.so.conf.d localtime mime.types nsswitch.conf pki protocols resolv.conf services ssl
""".split()
_NAMES = ("hosts", "resolv.conf")
_PRIVATE = ("/etc/ssl/private", "/etc/pki/tls/private")
_SYSTEM = ("/bin", "/sbin", "/lib", "/lib32", "/lib64", "/libx32", "/nix/store", "/run/current-system/sw")
_REACH = "/tmp"  # noqa: S108 - a tmpfs over it, not the machine's folder


@dataclass(frozen=True)
class Bwrap:
    """A `bwrap` program: its path and the folders that it needs besides `/usr`."""

    path: Path
    needs: tuple[Path, ...] = ()


@dataclass(frozen=True)
class Sources:
    """Descriptors of the synthetic files, and of the pipe that bwrap reports its command's end to.

    `latch` is one that bwrap reads from before it begins, if there is one; `hosts` the file for a box
    that is to know no name but its own; `filter` that of the calls it may not make.
    """

    passwd: int
    group: int
    status: int
    latch: int | None = None
    hosts: int | None = None
    filter: int | None = None

    @property
    def descriptors(self) -> tuple[int, ...]:
        """Those that bwrap must inherit."""
        further = (one for one in (self.latch, self.hosts, self.filter) if one is not None)
        return (self.passwd, self.group, self.status, *further)


def arguments(box: Box, hosts: Sequence[str], sources: Sources, *, userns_off: bool) -> Iterator[str]:
    """The arguments of a box; `hosts` are the paths of its mounts as this bwrap reaches them.

    The network is the machine's unless the box has none. With it come the abstract Unix sockets,
    which belong to the network namespace: nothing of Slipway's listens on one.
    """
    yield from ("--unshare-user", "--uid", str(UID), "--gid", str(UID))
    yield from ("--unshare-pid", "--unshare-ipc", "--unshare-uts", "--unshare-cgroup-try")
    # A new session has no terminal to push input into (TIOCSTI).
    yield from ("--hostname", "build", "--die-with-parent", "--new-session", "--cap-drop", "ALL")
    if userns_off:
        yield "--disable-userns"
    if not box.network:
        yield "--unshare-net"
    yield from ("--json-status-fd", str(sources.status))
    if sources.latch is not None:
        yield from ("--block-fd", str(sources.latch))
    if sources.filter is not None:
        yield from ("--seccomp", str(sources.filter))
    yield from _files(sources)
    yield from ("--proc", "/proc", "--dev", "/dev")
    yield from ("--size", str(box.limits.memory * MIB), "--tmpfs", "/tmp")  # noqa: S108
    for mount, host in zip(box.mounts, hosts, strict=True):
        yield from ("--bind" if mount.writable else "--ro-bind", host, mount.inside)
    yield from ("--remount-ro", "/", "--chdir", box.directory, "--clearenv")
    for name, value in box.environ.items():
        yield from ("--setenv", name, value)


@dataclass(frozen=True)
class Reach:
    """What another user than Slipway's needs to be shown before it can run bwrap: see `launch.py`."""

    user: int
    folder: str
    binds: tuple[tuple[str, str], ...]


def reach(bwrap: Bwrap, box: Box, user: int) -> tuple[Reach, str, list[str]]:
    """What to show a user; the path of bwrap and those of the mounts as that user finds them."""
    binds = [(str(mount.host), str(number)) for number, mount in enumerate(box.mounts)]
    hosts = [f"{_REACH}/{name}" for _, name in binds]
    program = str(bwrap.path)
    for folder in bwrap.needs:
        binds.append((str(folder), folder.name))
        if bwrap.path.is_relative_to(folder):
            program = f"{_REACH}/{folder.name}/{bwrap.path.relative_to(folder)}"
    return Reach(user, _REACH, tuple(binds)), program, hosts


def _files(sources: Sources) -> Iterator[str]:
    yield from ("--ro-bind", "/usr", "/usr")
    for name in _SYSTEM:
        path = Path(name)
        if path.is_symlink() and path.parent == Path("/"):
            yield from ("--symlink", str(path.readlink()), name)
        elif path.is_dir():
            yield from ("--ro-bind", name, name)
    yield from ("--perms", "0755", "--dir", "/etc")
    # Without a network the machine's names are of no use, and nobody's business.
    withheld = () if sources.hosts is None else _NAMES
    for name in _ETC:
        if name not in withheld:
            yield from ("--ro-bind-try", f"/etc/{name}", f"/etc/{name}")
    if sources.hosts is not None:
        yield from ("--ro-bind-data", str(sources.hosts), "/etc/hosts")
    for name in _PRIVATE:
        if Path(name).is_dir():
            yield from ("--tmpfs", name)
    yield from ("--ro-bind-data", str(sources.passwd), "/etc/passwd")
    yield from ("--ro-bind-data", str(sources.group), "/etc/group")
