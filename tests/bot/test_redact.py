import base64
import json
import time
from urllib.parse import quote, quote_plus

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from bot.redact import MARK, Forms, Redactor

SECRET = 's3cr/et+ü "quoted"\n<&>~tail'

secrets_of_few_letters = st.lists(st.text("ab/=", min_size=4, max_size=9), min_size=1, max_size=4)


def redact(text: bytes, *secrets: str | bytes) -> bytes:
    redactor = Redactor(secrets)
    return redactor.feed(text) + redactor.flush()


def encodings(secret: str) -> list[bytes]:
    raw = secret.encode()
    texts = [
        base64.b64encode(raw).decode(),
        base64.urlsafe_b64encode(raw).decode(),
        base64.b64encode(raw).decode().rstrip("="),
        quote(secret),
        quote(secret, safe=""),
        quote_plus(secret),
        quote(secret, safe="").lower() if secret.islower() else quote(secret, safe=""),
        json.dumps(secret)[1:-1],
        json.dumps(secret, ensure_ascii=False)[1:-1],
        json.dumps(secret)[1:-1].replace("/", "\\/"),
        raw.hex(),
        raw.hex().upper(),
    ]
    return [raw, *(text.encode() for text in texts)]


@pytest.mark.parametrize("form", encodings(SECRET))
def test_every_form_is_found_in_a_row_of_single_bytes(form: bytes):
    redactor = Redactor([SECRET])
    text = b"before " + form + b" after"
    out = b"".join(redactor.feed(text[place : place + 1]) for place in range(len(text))) + redactor.flush()
    assert out == b"before " + MARK + b" after"


@pytest.mark.parametrize("before", ["", "u", "us", "use"])
@pytest.mark.parametrize("behind", ["", "1", "12"])
def test_base64_at_any_alignment_leaves_at_most_a_letter_at_each_side(before: str, behind: str):
    secret = "correct horse battery staple"
    encoded = base64.b64encode(f"{before}{secret}{behind}".encode())
    out = redact(encoded, secret)
    assert MARK in out
    left, right = out.split(MARK)
    assert len(left) <= -(-8 * len(before) // 6)
    assert len(right.rstrip(b"=")) <= -(-8 * len(behind) // 6) + 1


def test_lines_of_a_key_file_are_secrets_too():
    key = "-----BEGIN KEY-----\nMIIEvQIBADANBgkqhkiG9w0BAQ\nEFAASCBKcwggSjAgEAAoIBAQC7\n-----END KEY-----\n"
    out = redact(b"".join(b"12:00 " + line.encode() + b"\n" for line in key.splitlines()), key)
    assert out == (b"12:00 " + MARK + b"\n") * 4


def test_short_secrets_are_left():
    assert redact(b"abc abc", "abc", "") == b"abc abc"


def test_overlapping_secrets_become_one_mark_and_neighbours_two():
    assert redact(b"xabcdefghiy", "abcdef", "defghi") == b"x" + MARK + b"y"
    assert redact(b"abcdabcd", "abcd") == MARK * 2
    assert redact(b"xabcdz", "xabcdy", "abcd") == b"x" + MARK + b"z"


def test_no_more_is_held_back_than_may_be_a_secret():
    redactor = Redactor(["password"])
    assert redactor.feed(b"Enter your p") == b"Enter your "
    assert redactor.feed(b"in: ") == b"pin: "
    assert redactor.feed(b"passwor") == b""
    assert redactor.feed(b"d!") == MARK + b"!"


@given(secrets_of_few_letters, st.text("ab/=c", max_size=60), st.lists(st.integers(1, 7), max_size=40))
@example(["aaaa"], "aaaaaaaaa", [1] * 9)
def test_chunks_make_no_difference_and_nothing_is_left(secrets: list[str], text: str, sizes: list[int]):
    forms = Forms(secrets)
    whole = Redactor(forms).whole(text.encode())
    redactor, rest, out = Redactor(forms), text.encode(), b""
    for size in sizes:
        out += redactor.feed(rest[:size])
        rest = rest[size:]
    assert out + redactor.feed(rest) + redactor.flush() == whole
    assert whole == by_definition(text, secrets)


def by_definition(text: str, secrets: list[str]) -> bytes:
    """Cover every occurrence of every secret; each run of overlapping occurrences is one mark."""
    raw = text.encode()
    forms = {form for secret in secrets for form in encodings_known(secret)}
    spans = sorted(
        (place, place + len(form))
        for form in forms
        for place in range(len(raw))
        if raw.startswith(form, place)
    )
    merged: list[tuple[int, int]] = []
    for start, end in spans:
        if merged and start < merged[-1][1]:
            merged[-1] = (merged[-1][0], max(end, merged[-1][1]))
        else:
            merged.append((start, end))
    out, place = b"", 0
    for start, end in merged:
        out += raw[place:start] + MARK
        place = end
    return out + raw[place:]


def encodings_known(secret: str) -> set[bytes]:
    # Of these letters, only the slash is written otherwise with letters of the same alphabet.
    return {secret.encode()}


@given(st.text(min_size=4, max_size=30), st.integers(0, 12), st.sampled_from(["", "\n", " x ", "==", "%"]))
def test_every_form_of_any_secret_is_found(secret: str, which: int, around: str):
    form = encodings(secret)[which]
    assert form not in redact(around.encode() + form + around.encode(), secret).replace(MARK, b"")


def test_time_grows_with_length_even_for_the_worst_text():
    redactor = Redactor(["a" * 400 + "b", "ab" * 200 + "c"])
    started = time.process_time()
    for _ in range(200):
        redactor.feed(b"a" * 1000)
    assert time.process_time() - started < 2
