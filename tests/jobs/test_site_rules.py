import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from jobs.rulebook import MAX_SENT, Moved, Rulebook, Served
from jobs.site_patterns import PatternError, parse_pattern, tidy
from jobs.site_rules import MAX_WARNINGS, from_json, parse, to_json

paths = st.text(alphabet="/ab.:*%é\\?#\n ", max_size=30).map(lambda text: "/" + text)
lines = st.text(alphabet="/ab:*! 301#=\t\nX-:é", max_size=120)


def answer(
    redirects: str, path: str, *, query: str = "", files: tuple[str, ...] = (), headers: str = ""
) -> Moved | Served:
    rules, _ = parse(redirects, headers)
    return Rulebook(rules).answer(tidy(path), query, lambda wanted: str(wanted) in files)


def added(headers: str, path: str) -> dict[str, str]:
    outcome = answer("", path, headers=headers)
    assert isinstance(outcome, Served)
    return dict(outcome.headers)


@pytest.mark.parametrize(
    ("pattern", "path", "caught"),
    [
        ("/", "/", {}),
        ("/a", "/a", {}),
        ("/a", "/a/", {}),
        ("/a/", "/a", {}),
        ("/a", "/b", None),
        ("/a", "/a/b", None),
        ("/a", "/A", None),
        ("/a%20b", "/a b", {}),
        ("/*", "/", {"splat": ""}),
        ("/*", "/x/y", {"splat": "x/y"}),
        ("/*", "/x/y/", {"splat": "x/y/"}),
        ("/a/*", "/a", {"splat": ""}),
        ("/a/*", "/ab", None),
        ("/a/*/c", "/a/b/b/c", {"splat": "b/b"}),
        ("/a/*/c", "/a/c", None),
        ("/a*", "/abc", {"splat": "bc"}),
        ("/*.jpg", "/x/y.jpg", {"splat": "x/y"}),
        ("/*.jpg", "/x/y.png", None),
        ("/:y/:m", "/2024/05", {"y": "2024", "m": "05"}),
        ("/:y/:m", "/2024", None),
        ("/p-:id.html", "/p-7.html", {"id": "7"}),
        ("/p-:id.html", "/p-.html", None),
        ("/:lang/*", "/en/a/b", {"lang": "en", "splat": "a/b"}),
    ],
)
def test_a_pattern_catches(pattern: str, path: str, caught: dict[str, str] | None):
    assert parse_pattern(pattern).match(tidy(path)) == caught


@pytest.mark.parametrize(
    "pattern", ["", "a", "https://x/", "/*/*", "/**", "/:a:b", "/:a/:a", "/:splat/*", "/x:a*", "//*/*"]
)
def test_an_unsupported_pattern_is_refused(pattern: str):
    with pytest.raises(PatternError):
        parse_pattern(pattern)


@given(paths)
def test_tidying_twice_is_tidying_once(path: str):
    once = tidy(path)
    assert tidy(str(once)) == once
    assert not {"", ".", ".."} & set(once.parts)


@pytest.mark.parametrize(
    ("line", "path", "expected"),
    [
        ("/a /b", "/a", Moved(301, "/b")),
        ("/a /b 302", "/a", Moved(302, "/b")),
        ("/a /b 303 # why", "/a", Moved(303, "/b")),
        ("/a https://x.org/b 308!", "/a", Moved(308, "https://x.org/b")),
        ("/a/* /b/:splat", "/a/c d", Moved(301, "/b/c%20d")),
        ("/a/* /b/:other", "/a/c", Moved(301, "/b/:other")),
        ("/a/* /b#:splat", "/a/c", Moved(301, "/b#c")),
        ("/* /:splat", "//evil.org", Served(None, 200, ())),
        ("/x/* /:splat", "/x/\\evil.org", Moved(301, "/%5Cevil.org")),
        ("/x/* /y?q=:splat", "/x/a&b\r\n", Moved(301, "/y?q=a&b%0D%0A")),
        ("/a /b 200", "/a", Served("/b", 200, ())),
        ("/a/* /404.html 404", "/a/x", Served("/404.html", 404, ())),
        ("/a /b?c#d 200", "/a", Served("/b", 200, ())),
    ],
)
def test_a_redirect_answers(line: str, path: str, expected: Moved | Served):
    assert answer(line, path) == expected


def test_the_query_is_passed_on_unless_the_target_has_one():
    assert answer("/a /b", "/a", query="x=1") == Moved(301, "/b?x=1")
    assert answer("/a /b#c", "/a", query="x=1") == Moved(301, "/b?x=1#c")
    assert answer("/a /b?y=2", "/a", query="x=1") == Moved(301, "/b?y=2")


def test_a_file_wins_unless_the_rule_is_forced():
    assert answer("/a /b", "/a", files=("/a",)) == Served(None, 200, ())
    assert answer("/a /b 302!", "/a", files=("/a",)) == Moved(302, "/b")
    assert answer("/a /b\n/a /c 302!", "/a", files=("/a",)) == Moved(302, "/c")


def test_the_first_rule_that_fits_decides():
    assert answer("/a /1\n/a /2", "/a") == Moved(301, "/1")
    assert answer("/* /1\n/a /2", "/a") == Moved(301, "/1")
    assert answer("/a /1\n/* /2", "/a") == Moved(301, "/1")


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("/a", "needs a path and a target"),
        ("/a 301", "needs a path and a target"),
        ("/a id=:id /b", "query parameters"),
        ("/a /b 301 Country=de", "country"),
        ("/a /b Role=admin", "country"),
        ("/a /b 302 x", "one word too many"),
        ("/a /b 418", "status '418'"),
        ("/a /b 301!!", "status '301!!'"),
        ("/a https://x.org/ 200", "other hosts"),
        ("/a //x.org/", "path or an http"),
        ("/a /\\x.org/", "path or an http"),
        ("/a javascript:alert(1)", "path or an http"),
        ("/* https://:splat/", "path or an http"),
        ("/:a https://x-:a.org/b", "in the host"),
        ("/:a https://x-:a", "in the host"),
        ("/a http://[x/", "not an address"),
        ("/a /ä", "percent-encoded"),
        ("/a /a/", "itself"),
        ("https://x/* /b", "must begin with '/'"),
        ("/*/* /b", "one '*'"),
        ("/a " + "/:splat" * 200, "longer than 1000"),
        ("/* " + "/:splat" * 30, "at most 20"),
    ],
)
def test_what_is_not_supported_is_said(line: str, said: str):
    rules, warnings = parse(f"# a comment\n\n{line}\n/ok /fine", "")
    assert len(rules.redirects) == 1
    (warning,) = warnings
    assert (warning.file, warning.line) == ("_redirects", 3)
    assert said in warning.message
    assert str(warning).startswith("_redirects line 3: ")


def test_the_limits_of_the_services_hold():
    static = "".join(f"/s{number} /t\n" for number in range(2001))
    dynamic = "".join(f"/d{number}/* /t\n" for number in range(101))
    headers = "".join(f"/h{number}\n  X-A: b\n" for number in range(101))
    rules, warnings = parse(static + dynamic, headers)
    assert (len(rules.redirects), len(rules.headers)) == (2100, 100)
    assert [(warning.file, warning.line) for warning in warnings] == [
        ("_redirects", 2001),
        ("_redirects", 2102),
        ("_headers", 201),
    ]


def test_a_flood_of_bad_lines_is_summed_up():
    _, warnings = parse("bad\n" * 5000, "")
    assert len(warnings) == MAX_WARNINGS + 1
    assert "4900 more" in warnings[-1].message


@pytest.mark.parametrize(
    ("headers", "path", "expected"),
    [
        ("/a\n  X-A: b", "/a", {"X-A": "b"}),
        ("/a\n\tX-A:b", "/a/", {"X-A": "b"}),
        ("/a\n  X-A: b", "/c", {}),
        ("/*\n  X-A: 1\n/a\n  x-a: 2", "/a", {"x-a": "1, 2"}),
        ("/*\n  X-A: 1\n/a\n  ! X-A", "/a", {}),
        ("/*\n  X-A: 1\n/a\n  ! X-A\n  X-A: 2", "/a", {"X-A": "2"}),
        ("/m/:title\n  X-M: it is :title", "/m/a\r\nb", {"X-M": "it is a%0D%0Ab"}),
        ("/s/*\n  X-S: :splat", "/./s//x", {"X-S": "x"}),
        ("/a\n  Link: <https://x.org>; rel=y", "/a", {"Link": "<https://x.org>; rel=y"}),
    ],
)
def test_headers_are_added(headers: str, path: str, expected: dict[str, str]):
    assert parse("", headers)[1] == []
    assert added(headers, path) == expected


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("  X-Slipway-Release: 7", "can't be set"),
        ("  Content-Length: 7", "can't be set"),
        ("  Set-Cookie: a=b", "can't be set"),
        ("  transfer-encoding: chunked", "can't be set"),
        ("  Basic-Auth: a:b", "NOT protected"),
        ("  no colon", "Name: value"),
        ("  X-A:", "Name: value"),
        ("  X A: b", "Name: value"),
        ("  X-A: b\rX-B: c", "ASCII"),
        ("  X-A: ä", "ASCII"),
    ],
)
def test_a_header_that_no_site_may_set_is_said(line: str, said: str):
    rules, warnings = parse("", f"/a\n{line}\n  X-Ok: yes")
    assert [name for name, _ in rules.headers[0].added] == ["X-Ok"]
    (warning,) = warnings
    assert (warning.file, warning.line) == ("_headers", 2)
    assert said in warning.message


def test_what_stands_before_or_below_a_bad_path_is_left_out():
    rules, warnings = parse("", "  X-A: b\nhttps://x.org/*\n  X-B: c\n/ok\n  X-C: d")
    assert len(rules.headers) == 1
    assert [warning.line for warning in warnings] == [1, 2]


def test_one_answer_gets_so_many_bytes_and_no_more():
    many = "/*\n" + "".join(f"  X-{number}: {'v' * 1900}\n" for number in range(40))
    sent = added(many, "/")
    assert 0 < sum(len(name) + len(value) for name, value in sent.items()) <= MAX_SENT
    assert answer("/x/* /" + ":splat" * 20, "/x/" + "a" * 8000) == Served(None, 200, ())


@settings(max_examples=60)
@given(lines, lines, paths, st.text(max_size=10))
def test_whatever_is_written_is_read_kept_and_asked(redirects: str, headers: str, path: str, query: str):
    rules, _ = parse(redirects, headers)
    again = from_json(to_json(rules))
    assert again == rules
    outcome = Rulebook(again).answer(tidy(path), query.encode("ascii", "ignore").decode(), lambda _: False)
    texts = [outcome.location] if isinstance(outcome, Moved) else [value for _, value in outcome.headers]
    assert all(text.isascii() and "\n" not in text.partition("?")[0] for text in texts)
    if isinstance(outcome, Moved):
        assert not outcome.location.startswith(("//", "/\\"))


def test_a_hostile_file_costs_little():
    name = "a" * 400
    redirects = "".join(f"/{name}*{name}{number}/:x/:y /b\n" for number in range(100))
    headers = "".join(f"/{number}*{name}\n  X-A: :splat\n" for number in range(100))
    book = Rulebook(parse(redirects, headers)[0])
    started = time.process_time()
    for _ in range(20):
        book.answer(tidy("/" + "a" * 30_000), "", lambda _: False)
        book.answer(tidy("/a" * 15_000), "", lambda _: False)
    assert (time.process_time() - started) / 40 < 0.1
