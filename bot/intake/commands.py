"""Commands in comments on pull requests; pure.

A command is a line of its own that begins with `/word`. Quoted lines, code blocks and what HTML
comments hide are not read: nobody means them. Shapes of Markdown: https://github.github.com/gfm/
"""

import re
import shlex
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import timedelta

from bot.domain.duration import duration

MAX_COMMANDS = 10
"""Commands of one comment that are carried out."""
MIN_SHA = 7
"""Fewest characters of a commit's id that name it."""
USAGE = {
    "deploy": "/deploy [environment]",
    "redeploy": "/redeploy",
    "cancel": "/cancel",
    "promote": "/promote [environment]",
    "rollback": "/rollback [release]",
    "approve": "/approve <sha> [--with-secrets]",
    "lock": "/lock [reason]",
    "unlock": "/unlock",
    "ttl": "/ttl <length, such as 3d>",
    "explain": "/explain",
    "help": "/help",
}
"""How each command is written; every one takes `--app <name>` where a repository has several."""

MEANS = {
    "deploy": "bring the head to the preview, or to another environment",
    "redeploy": "deploy the preview's last commit again",
    "cancel": "stop what waits or runs for the preview",
    "promote": "bring the preview's release to production, or to another environment",
    "rollback": "bring back what production showed before",
    "approve": "let this very commit of a fork or a bot be built",
    "lock": "let nothing be deployed to the preview",
    "unlock": "take the lock off again",
    "ttl": "let the preview live so long from now on",
    "explain": "tell what was decided, and why",
    "help": "list the commands",
}
"""What each command does."""

_LINE = re.compile(r"/([a-z][a-z-]*)(?:[ \t]+(.*))?")
_FENCE = re.compile(r" {0,3}(`{3,}|~{3,})")
_HIDDEN = re.compile(r"<!--.*?(?:-->|\Z)", re.DOTALL)
_APP = re.compile(r"--app[ \t]+(\S+)[ \t]*")


@dataclass(frozen=True)
class Deploy:
    """Build the pull request's head again, or bring it to a named environment."""

    environment: str | None = None


@dataclass(frozen=True)
class Redeploy:
    """Build the head once more."""


@dataclass(frozen=True)
class Cancel:
    """Stop what waits or runs."""


@dataclass(frozen=True)
class Promote:
    """Bring the preview's release to an environment, production when none is named."""

    environment: str | None = None


@dataclass(frozen=True)
class Rollback:
    """Bring an earlier release back; the one before when none is named."""

    release: str | None = None


@dataclass(frozen=True)
class Approve:
    """Let a held commit be built: that one, which `sha` begins."""

    sha: str
    with_secrets: bool = False


@dataclass(frozen=True)
class Lock:
    """Let nothing be deployed to the preview."""

    reason: str = ""


@dataclass(frozen=True)
class Unlock:
    """Take a lock back."""


@dataclass(frozen=True)
class Ttl:
    """How long the preview lives from now on."""

    length: timedelta


@dataclass(frozen=True)
class Explain:
    """Tell what was decided, and why."""


@dataclass(frozen=True)
class Help:
    """List the commands."""


@dataclass(frozen=True)
class Unknown:
    """A command that is none of ours."""


@dataclass(frozen=True)
class Misused:
    """A command of ours with the wrong words after it: `problem` says what would be right."""

    problem: str


Bringing = Deploy | Redeploy | Cancel | Promote | Rollback | Approve
"""What concerns deployments."""
Arranging = Lock | Unlock | Ttl | Explain
"""What concerns the preview besides."""
Verb = Bringing | Arranging | Help | Unknown | Misused


@dataclass(frozen=True)
class Command:
    """One command. `word` as it was written, without the slash; `app` is None where all are meant."""

    word: str
    verb: Verb
    app: str | None = None


def commands_in(body: str) -> list[Command]:
    """The commands of a comment in their order, each once, `MAX_COMMANDS` at most. Never raises."""
    found = [
        _command(match[1], (match[2] or "").strip()) for match in map(_LINE.fullmatch, _spoken(body)) if match
    ]
    return list(dict.fromkeys(found))[:MAX_COMMANDS]


def _spoken(body: str) -> list[str]:
    """The lines that are neither quoted, nor code, nor hidden; without the space at their end."""
    lines: list[str] = []
    fence = ""
    for line in _HIDDEN.sub("", body.replace("\r\n", "\n")).split("\n"):
        opening = _FENCE.match(line)
        if fence:
            closes = opening is not None and opening[1].startswith(fence) and not line.strip().strip(fence[0])
            fence = "" if closes else fence
        elif opening:
            fence = opening[1]
        else:
            lines.append(line.rstrip())
    return lines


def _command(word: str, rest: str) -> Command:
    reader = _READERS.get(word)
    if reader is None:
        return Command(word, Unknown())
    if word == "lock":
        named = _APP.match(rest)
        return Command(
            word, Lock((rest[named.end() :] if named else rest)[:200]), named[1] if named else None
        )
    words = _words(rest)
    app, words = _app(words)
    return Command(word, reader(word, words), app)


def _words(rest: str) -> list[str]:
    try:
        return shlex.split(rest)
    except ValueError:
        return rest.split()


def _app(words: list[str]) -> tuple[str | None, list[str]]:
    for at, one in enumerate(words[:-1]):
        if one == "--app":
            return words[at + 1], words[:at] + words[at + 2 :]
    return None, words


def _plain(verb: Verb) -> Callable[[str, Sequence[str]], Verb]:
    return lambda word, words: _misused(word) if words else verb


def _optional(make: Callable[[str | None], Verb]) -> Callable[[str, Sequence[str]], Verb]:
    return lambda word, words: _misused(word) if len(words) > 1 else make(words[0] if words else None)


def _approve(word: str, words: Sequence[str]) -> Verb:
    secrets = "--with-secrets" in words
    named = [one for one in words if one != "--with-secrets"]
    if len(named) != 1 or not re.fullmatch(rf"[0-9a-fA-F]{{{MIN_SHA},40}}", named[0]):
        return _misused(word)
    return Approve(named[0].lower(), secrets)


def _ttl(word: str, words: Sequence[str]) -> Verb:
    length = duration(words[0]) if len(words) == 1 else None
    return Ttl(length) if length is not None else _misused(word)


def _misused(word: str) -> Misused:
    return Misused(f"It is written {USAGE[word]}")


_READERS: dict[str, Callable[[str, Sequence[str]], Verb]] = {
    "deploy": _optional(Deploy),
    "redeploy": _plain(Redeploy()),
    "cancel": _plain(Cancel()),
    "promote": _optional(Promote),
    "rollback": _optional(Rollback),
    "approve": _approve,
    "lock": _plain(Lock()),
    "unlock": _plain(Unlock()),
    "ttl": _ttl,
    "explain": _plain(Explain()),
    "help": _plain(Help()),
}
