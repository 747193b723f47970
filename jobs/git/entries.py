"""What git tells of the entries of a commit's tree."""

import re
from dataclasses import dataclass

_ENTRY = re.compile(rb"(?P<mode>\d+) (?:\w+) (?P<id>[0-9a-f]+) +(?P<size>[0-9-]+)\t(?P<path>.*)", re.DOTALL)
_AUTHOR = re.compile(rb"^author ([^<\n]*) <", re.MULTILINE)
_ENCODING = re.compile(rb"^encoding (.+)$", re.MULTILINE)

EMPTY_TREE = "4b825dc642cb6eb9a060e54bf8d69288fbee4904"
"""Git's id of a tree without entries; it is known in every repository."""


BLOCK = 4096


@dataclass(frozen=True)
class Entry:
    """A file, a folder or a link: its path from the top, git's mode, the id of its content, its bytes."""

    path: str
    mode: str
    id: str
    size: int

    @property
    def is_file(self) -> bool:
        """Whether it is a regular file."""
        return self.mode.startswith("100")


def entries_of(listed: bytes) -> list[Entry]:
    """Read the output of `git ls-tree -z -l`."""
    return [_entry(found) for line in listed.split(b"\0") if (found := _ENTRY.fullmatch(line))]


def room_of(listed: bytes) -> int:
    """Bytes that the files of `git ls-tree -r -z -l` take on a disk, which has a block for each at least."""
    sizes = (line.partition(b"\t")[0].rpartition(b" ")[2] for line in listed.split(b"\0")[:-1])
    return sum(BLOCK + int(size) for size in sizes if size.isdigit())


def _entry(found: re.Match[bytes]) -> Entry:
    size = int(found["size"]) if found["size"].isdigit() else 0
    path = found["path"].decode(errors="surrogateescape")
    return Entry(path, found["mode"].decode(), found["id"].decode(), size)


def added_of(listed: bytes) -> list[Entry]:
    """Read the output of `git diff-tree -z --raw` against the empty tree; sizes are not told there."""
    words = listed.split(b"\0")
    return [
        Entry(path.decode(errors="surrogateescape"), facts[1].decode(), facts[3].decode(), 0)
        for head, path in zip(words[::2], words[1::2], strict=False)
        if len(facts := head.split()) == 5
    ]


def message_of(commit: bytes) -> str:
    """The message of a commit, as git keeps the commit: lines of facts, an empty one, the message."""
    facts, _, message = commit.partition(b"\n\n")
    return _decoded(message, facts)


def author_of(commit: bytes) -> str:
    """The name of a commit's author; empty where there is none."""
    facts, _, _ = commit.partition(b"\n\n")
    found = _AUTHOR.search(facts)
    return _decoded(found[1], facts) if found else ""


def _decoded(text: bytes, facts: bytes) -> str:
    named = _ENCODING.search(facts)
    try:
        return text.decode(named[1].decode() if named else "utf-8", errors="replace").strip()
    except (LookupError, UnicodeDecodeError):
        return text.decode(errors="replace").strip()
