"""Looks for secrets that stand in clear text in what is about to be published, within a bound of work."""

import json
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from jobs.artifacts.tree import Seen, open_seen

SHORTEST = 8
"""Bytes of the shortest secret that is looked for: shorter ones stand in ordinary words."""
_LARGEST = 32 << 20
# Bytes times forms: about a second.
_WORK = 2 << 30


@dataclass(frozen=True)
class Search:
    """What was found, as path and name of the secret, and how many files were left unread for their size."""

    found: list[tuple[str, str]]
    unread: int


def search(
    root: str, files: Mapping[str, Seen], secrets: Mapping[str, str], check: Callable[[], None]
) -> Search:
    """Look for secrets, by name, in files and their paths; the smallest files first. `check` may raise.

    Raises `ChangedError` when a file is not the one that was scanned.
    """
    forms = [(name, form) for name, value in sorted(secrets.items()) for form in _forms(value)]
    found = [(path, name) for path in sorted(files) for name, form in forms if form in os.fsencode(path)]
    if not forms:
        return Search(found, 0)
    work, unread = _WORK, 0
    for path, seen in sorted(files.items(), key=lambda one: (one[1].size, one[0])):
        check()
        work -= seen.size * len(forms)
        if work < 0 or seen.size > _LARGEST:
            unread += 1
            continue
        data = _content(f"{root}/{path}", seen)
        found += [(path, name) for name, form in forms if form in data]
    return Search(list(dict.fromkeys(found)), unread)


def _forms(value: str) -> set[bytes]:
    """The secret itself, and as it stands in the texts of programs and of JSON."""
    own = value.strip()
    texts = {own, json.dumps(own)[1:-1], json.dumps(own, ensure_ascii=False)[1:-1]}
    return {text.encode() for text in texts if len(text.encode()) >= SHORTEST}


def _content(path: str, seen: Seen) -> bytes:
    try:
        descriptor = open_seen(path, seen)
    except PermissionError:
        # It can't be published either.
        return b""
    with os.fdopen(descriptor, "rb", buffering=0) as source:
        return source.read(seen.size)
