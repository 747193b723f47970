"""Finds what is at an address word by word: of a list of 150 expressions each request would try most."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Generic, TypeVar
from urllib.parse import unquote

from starlette.routing import BaseRoute, Match
from starlette.types import ASGIApp, Receive, Scope, Send

T = TypeVar("T")


@dataclass
class _Node(Generic[T]):
    fixed: dict[str, "_Node[T]"] = field(default_factory=dict[str, "_Node[T]"])
    varying: "_Node[T] | None" = None
    found: tuple[T, Sequence[str]] | None = None
    """What is here, and the names of the parts that vary on the way."""


class Tree(Generic[T]):
    """Things by paths such as `/apps/{app}`. A part that varies is one word, without a slash in it."""

    def __init__(self, things: Mapping[str, T]) -> None:
        self._root: _Node[T] = _Node()
        for path, thing in things.items():
            self._add(path, thing)

    def find(self, words: Sequence[str]) -> tuple[T, dict[str, str]] | None:
        """What is at an address, and its parts that vary; fixed words count more than those."""
        found = min(_walk(self._root, words, 0, ()), key=lambda one: len(one[1]), default=None)
        if found is None:
            return None
        (thing, names), values = found
        return thing, dict(zip(names, values, strict=True))

    def _add(self, path: str, thing: T) -> None:
        node, names = self._root, list[str]()
        for word in path.split("/"):
            if word.startswith("{"):
                names.append(word[1:-1])
                node.varying = node.varying or _Node()
                node = node.varying
            else:
                node = node.fixed.setdefault(word, _Node())
        node.found = (thing, names)


def _walk(
    node: _Node[T], words: Sequence[str], place: int, values: tuple[str, ...]
) -> Iterator[tuple[tuple[T, Sequence[str]], tuple[str, ...]]]:
    if place == len(words):
        if node.found is not None:
            yield node.found, values
        return
    word = words[place]
    if (fixed := node.fixed.get(word)) is not None:
        yield from _walk(fixed, words, place + 1, values)
    if word and node.varying is not None:
        yield from _walk(node.varying, words, place + 1, (*values, word))


class Addresses(BaseRoute):
    """A route to all applications of a tree, below a prefix."""

    def __init__(self, prefix: str, apps: Mapping[str, ASGIApp]) -> None:
        self._prefix = prefix
        self._tree = Tree(apps)

    def matches(self, scope: Scope) -> tuple[Match, Scope]:
        """Whether there is anything at an address."""
        if scope["type"] != "http" or not scope["path"].startswith(self._prefix):
            return Match.NONE, {}
        # As it was sent: only there `%2F`, which is a part of a name, differs from a slash between two.
        path = scope["raw_path"].decode("ascii", "replace")
        found = self._tree.find([unquote(word) for word in path[len(self._prefix) :].split("/")])
        if found is None:
            return Match.NONE, {}
        return Match.FULL, {"endpoint": found[0], "path_params": found[1]}

    async def handle(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        await scope["endpoint"](scope, receive, send)
