"""Takes secrets out of streams of bytes, in every form that programs commonly print them in (pure).

A secret is found raw, in base64 at all three alignments, URL-encoded, JSON-escaped and in hexadecimal
digits, wherever chunks end. Secrets of fewer than four bytes are left: they stand in ordinary words,
so blanking them would ruin the text, and tell them by what is missing.
"""

import base64
import json
import re
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from functools import cached_property
from urllib.parse import quote_from_bytes

MARK = b"[REDACTED]"
MIN_SECRET = 4
"""Bytes. Shorter ones stand in ordinary words, so no log can be kept free of them."""
# Of a longer secret, such as a key file, only the usual forms are searched: each costs memory.
_LONG = 512
# A line of a secret that is a word of its own, and not a part of a common word.
_MIN_LINE = 12
_PREFIX = 4
_URL_SAFE_SETS = ("", "/", "!'()*~", "-_.!~*'();/?:@&=+$,#")


class Forms:
    """The forms of some secrets, also as one automaton; they never change.

    The automaton is made when it is first needed: many a deployment prints nothing but lines of ours.
    """

    def __init__(self, secrets: Iterable[str | bytes]) -> None:
        self._forms = sorted({form for secret in secrets for form in _forms(_bytes(secret))})

    @cached_property
    def automaton(self) -> "Automaton | None":
        """What finds them in a stream; None when there are none."""
        return Automaton(self._forms) if self._forms else None

    def any_in(self, text: bytes) -> bool:
        """Whether one of them stands in a text of its own."""
        return any(form in text for form in self._forms)


class Automaton:
    """Finds forms in a stream (Aho and Corasick, 1975); it never changes.

    State 0 is the root. `depth` is the length of the longest suffix that begins a form, `longest` that
    of the longest form that ends here.
    """

    def __init__(self, forms: Sequence[bytes]) -> None:
        self._next: list[dict[int, int]] = [{}]
        self._fail = [0]
        self.depth = [0]
        self.longest = [0]
        for form in forms:
            self._insert(form)
        self._link()
        self.beginning = _compile({form[:_PREFIX] for form in forms})

    def step(self, state: int, byte: int) -> int:
        """The state after one more byte."""
        while (following := self._next[state].get(byte)) is None:
            if state == 0:
                return 0
            state = self._fail[state]
        return following

    def _insert(self, form: bytes) -> None:
        state = 0
        for byte in form:
            following = self._next[state].get(byte)
            if following is None:
                following = len(self._next)
                self._next[state][byte] = following
                self._next.append({})
                self._fail.append(0)
                self.depth.append(self.depth[state] + 1)
                self.longest.append(0)
            state = following
        self.longest[state] = len(form)

    def _link(self) -> None:
        waiting = deque(self._next[0].values())
        while waiting:
            state = waiting.popleft()
            for byte, following in self._next[state].items():
                self._fail[following] = self.step(self._fail[state], byte)
                waiting.append(following)
            self.longest[state] = self.longest[state] or self.longest[self._fail[state]]


class Redactor:
    """One stream. What comes out of `feed` and the last `flush` does not depend on the chunks.

    Only bytes that may be the beginning of a secret are held back. Occurrences that overlap become one
    mark.
    """

    def __init__(self, secrets: Iterable[str | bytes] | Forms) -> None:
        self._forms = secrets if isinstance(secrets, Forms) else Forms(secrets)
        self._state = 0
        self._held = b""
        # Occurrences in what is held, as [start, end); a start of -1 says that its mark is out already.
        self._found: list[tuple[int, int]] = []

    def another(self) -> "Redactor":
        """A redactor of the same secrets for another stream."""
        return Redactor(self._forms)

    def whole(self, text: bytes) -> bytes:
        """Redact a text of its own."""
        if not self._forms.any_in(text):
            return text
        redactor = self.another()
        return redactor.feed(text) + redactor.flush()

    def feed(self, chunk: bytes) -> bytes:
        """Take a chunk; what is certain comes out."""
        automaton = self._forms.automaton
        if automaton is None:
            return chunk
        data = self._held + chunk
        self._scan(automaton, data, len(self._held))
        certain = len(data) - automaton.depth[self._state]
        out = self._cut(data, certain)
        self._held = data[certain:]
        return out

    def flush(self) -> bytes:
        """End the stream: what was held back is no secret, or the covered rest of one."""
        out = self._cut(self._held, len(self._held))
        self._held, self._state = b"", 0
        return out

    def _scan(self, forms: Automaton, data: bytes, place: int) -> None:
        state, end = self._state, len(data)
        while place < end:
            if state == 0:
                # Nearly all text is skipped here; a beginning cut off by the end is stepped through.
                likely = forms.beginning.search(data, place)
                place = likely.start() if likely else max(place, end - _PREFIX + 1)
                if place >= end:
                    break
            state = forms.step(state, data[place])
            place += 1
            if forms.longest[state]:
                self._note(place - forms.longest[state], place)
        self._state = state

    def _note(self, start: int, end: int) -> None:
        while self._found and self._found[-1][1] > start:
            start = min(start, self._found.pop()[0])
        self._found.append((start, end))

    def _cut(self, data: bytes, certain: int) -> bytes:
        out: list[bytes] = []
        place = 0
        later: list[tuple[int, int]] = []
        for start, end in self._found:
            if start >= certain:
                later.append((start - certain, end - certain))
                continue
            if start >= 0:
                out += (data[place:start], MARK)
            place = min(end, certain)
            if end > certain:
                later.append((-1, end - certain))
        self._found = later
        return b"".join((*out, data[place:certain]))


def _compile(prefixes: set[bytes]) -> re.Pattern[bytes]:
    """A pattern of all prefixes, which have one length; shaped as a tree it is ten times as quick as a row.

    Its first part looks whether each place has a letter that occurs there: most text fails at once.
    """
    letters = (_letters({prefix[place : place + 1] for prefix in prefixes}) for place in range(_PREFIX))
    return re.compile(b"(?=" + b"".join(letters) + b")" + _tree(prefixes))


def _tree(prefixes: set[bytes]) -> bytes:
    rests: dict[bytes, set[bytes]] = {}
    for prefix in prefixes:
        rests.setdefault(prefix[:1], set()).add(prefix[1:])
    firsts: dict[bytes, set[bytes]] = {}
    for first, rest in rests.items():
        firsts.setdefault(_tree(rest) if rest != {b""} else b"", set()).add(first)
    return b"(?:" + b"|".join(_letters(some) + rest for rest, some in firsts.items()) + b")"


def _letters(letters: set[bytes]) -> bytes:
    return b"[" + b"".join(re.escape(letter) for letter in sorted(letters)) + b"]"


def _bytes(secret: str | bytes) -> bytes:
    return secret.encode("utf-8", "surrogateescape") if isinstance(secret, str) else secret


def _forms(secret: bytes) -> set[bytes]:
    if len(secret) < MIN_SECRET:
        return set()
    forms = {secret, *_base64_forms(secret), *_json_forms(secret)}
    if len(secret) <= _LONG:
        forms |= {*_url_forms(secret), secret.hex().encode(), secret.hex().upper().encode()}
    # A key file shows up line by line, with something before each line.
    lines = [line.strip() for line in secret.splitlines()]
    if len(lines) > 1:
        forms |= {form for line in lines if len(line) >= _MIN_LINE for form in (line, *_base64_forms(line))}
    return {form for form in forms if len(form) >= MIN_SECRET}


def _base64_forms(secret: bytes) -> Iterator[bytes]:
    for before in range(3):
        encoded = base64.b64encode(bytes(before) + secret)
        # Letters that also hold bits of what stands before or behind the secret are not its own.
        bits = 8 * (before + len(secret))
        own = encoded[-(-8 * before // 6) : bits // 6]
        for form in (own, encoded.rstrip(b"="), encoded) if before == 0 else (own,):
            yield form
            yield form.replace(b"+", b"-").replace(b"/", b"_")


def _url_forms(secret: bytes) -> Iterator[bytes]:
    quoted = [quote_from_bytes(secret, safe) for safe in _URL_SAFE_SETS]
    quoted += [form.replace("%20", "+") for form in quoted]
    quoted.append("".join(f"%{byte:02X}" for byte in secret))
    for form in quoted:
        yield form.encode()
        yield re.sub("%[0-9A-F]{2}", lambda code: code[0].lower(), form).encode()


def _json_forms(secret: bytes) -> Iterator[bytes]:
    text = secret.decode("utf-8", "surrogateescape")
    for only_ascii in (True, False):
        plain = json.dumps(text, ensure_ascii=only_ascii)[1:-1]
        # Go and others write <, > and & as numbers, so that the text may stand in a page.
        for_page = plain.translate({ord(sign): f"\\u{ord(sign):04x}" for sign in "<>&"})
        for form in (plain, for_page):
            for slashed in (form, form.replace("/", "\\/")):
                yield slashed.encode("utf-8", "surrogateescape")
                upper = re.sub(r"\\u[0-9a-f]{4}", lambda code: "\\u" + code[0][2:].upper(), slashed)
                yield upper.encode("utf-8", "surrogateescape")
