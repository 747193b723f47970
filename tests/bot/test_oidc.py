import base64
import json
import threading
import time
from collections.abc import Generator
from typing import Any

import jwt
import pytest

from bot import oidc_keys
from bot.oidc import Claims, IdTokenError, Issuer, IssuerAwayError, Wrong
from bot.oidc_keys import Keys
from tests.fakes import issuer as fake
from tests.fakes.issuer import AUDIENCE, issuing, new_ec, new_rsa
from tests.waiting import wait_until


class Clock:
    now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def published() -> Generator[fake.Issuer]:
    with issuing() as issuer:
        yield issuer


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def issuer(published: fake.Issuer, clock: Clock) -> Issuer:
    return Issuer(published.url, (AUDIENCE, "the other"), keys=Keys(published.url, clock=clock))


def refused(issuer: Issuer, token: str, **more: Any) -> Wrong:
    with pytest.raises(IdTokenError) as caught:
        issuer.read(token, **more)
    return caught.value.code


def test_a_token_says_who_somebody_is(published: fake.Issuer, issuer: Issuer):
    token = published.token(email="Mona@Acme.Example", name="Mona", aud=["x", AUDIENCE], nonce="n")
    assert issuer.read(token, nonce="n") == Claims("mona@acme.example", "Mona")
    assert issuer.read(published.token(email_verified="true", token_use="id", typ="ID")).name == ""
    assert issuer.read(published.token(aud="the other", azp="the other")).email == "mona@acme.example"
    assert issuer.read(published.token(exp=int(time.time()) - 20)).email == "mona@acme.example"
    # Two questions, and then none: keys are remembered.
    assert published.asked == ["/.well-known/openid-configuration", "/keys"]


def test_rsa_keys_count_too_and_unfit_ones_are_left_out(published: fake.Issuer, issuer: Issuer):
    published.keys = {"rsa": new_rsa()}
    shared = base64.urlsafe_b64encode(b"k" * 64).decode()
    published.extra_keys = [
        {"kty": "oct", "k": shared, "kid": "shared", "alg": "HS256"},
        {"kty": "RSA", "kid": "broken", "n": "AQAB"},
        {**fake.published("sealing", new_rsa()), "use": "enc"},
        {"kty": "new", "kid": "odd"},
    ]
    assert issuer.read(published.token()).email == "mona@acme.example"
    forged = jwt.encode(published.claims(), b"k" * 64, "HS256", {"kid": "shared"})
    assert refused(issuer, forged) is Wrong.INVALID


@pytest.mark.parametrize(
    "changes",
    [
        {"aud": "another"},
        {"aud": None},
        {"aud": [AUDIENCE], "azp": "another"},
        {"iss": "https://evil.example"},
        {"iss": None},
        {"exp": None},
        {"iat": None},
        {"sub": None},
        {"nbf": int(time.time()) + 600},
        {"iat": int(time.time()) + 600},
        {"email": None},
        {"email": 7},
        {"email": "mona"},
        {"email_verified": False},
        {"email_verified": None},
        {"email_verified": "false"},
    ],
)
def test_what_does_not_fit_is_refused(published: fake.Issuer, issuer: Issuer, changes: dict[str, Any]):
    assert refused(issuer, published.token(**changes)) is Wrong.INVALID


def test_an_old_token_and_one_of_another_sign_in_are_refused(published: fake.Issuer, issuer: Issuer):
    assert refused(issuer, published.token(exp=int(time.time()) - 60)) is Wrong.EXPIRED
    assert refused(issuer, published.token(nonce="n"), nonce="m") is Wrong.INVALID
    assert refused(issuer, published.token(), nonce="m") is Wrong.INVALID


def test_access_tokens_are_refused_as_such(published: fake.Issuer, issuer: Issuer):
    tokens = [
        published.token(token_use="access", aud=None, client_id=AUDIENCE),
        published.token(headers={"typ": "at+jwt"}),
        published.token(headers={"typ": "application/at+JWT"}),
        published.token(typ="Bearer", aud="account"),
    ]
    assert [refused(issuer, token) for token in tokens] == [Wrong.ACCESS_TOKEN] * 4


def test_forged_tokens_are_refused(published: fake.Issuer, issuer: Issuer):
    real = published.token()
    head, body, signature = real.split(".")
    none = (
        base64.urlsafe_b64encode(json.dumps({"alg": "none", "kid": "first"}).encode()).rstrip(b"=").decode()
    )
    claims = published.claims()
    pem = published.keys["first"].public_key()
    for forged in (
        f"{none}.{body}.",
        f"{head}.{body}.{signature[:-4]}AAAA",
        f"{head}.{body[:-2]}.{signature}",
        jwt.encode(claims, new_ec(), "ES256", {"kid": "first"}),
        jwt.encode(claims, str(pem), "HS256", {"kid": "first"}),
        jwt.encode(claims, new_rsa(), "RS256", {"kid": "first"}),
        "eyJ.a.b",
        "eyJ" + "[" * 5000 + ".a.b",
    ):
        assert refused(issuer, forged) is Wrong.INVALID


def test_an_address_that_is_not_verified_counts_where_the_settings_say_so(published: fake.Issuer):
    issuer = Issuer(published.url, (AUDIENCE,), keys=Keys(published.url), takes_unverified=True)
    assert issuer.read(published.token(email_verified=None)).email == "mona@acme.example"


def test_keys_rotate_and_nobody_can_make_us_ask_all_the_time(
    published: fake.Issuer, issuer: Issuer, clock: Clock
):
    issuer.read(published.token())
    published.keys["second"] = new_ec()
    # Asked a moment ago: not again at once, whatever key a token names.
    assert refused(issuer, published.token(kid="second")) is Wrong.INVALID
    clock.now += oidc_keys.PAUSE_SECONDS
    assert issuer.read(published.token(kid="second"))
    del published.keys["first"]
    stranger = jwt.encode(published.claims(), new_ec(), "ES256", {"kid": "unknown"})
    for _ in range(20):
        assert refused(issuer, stranger) is Wrong.INVALID
    assert len(published.asked) == 4
    nameless = jwt.encode(published.claims(), published.keys["second"], "ES256")
    assert refused(issuer, nameless) is Wrong.INVALID
    clock.now += oidc_keys.PAUSE_SECONDS
    # The only key that is published needs no name.
    assert refused(issuer, stranger) is Wrong.INVALID
    assert issuer.read(nameless)


def test_a_dead_issuer_lets_nobody_in_and_its_keys_count_for_an_hour(
    published: fake.Issuer, issuer: Issuer, clock: Clock
):
    published.broken = True
    for _ in range(5):
        with pytest.raises(IssuerAwayError):
            issuer.read(published.token())
    assert len(published.asked) == 1
    published.broken = False
    clock.now += oidc_keys.PAUSE_SECONDS
    issuer.read(published.token())
    published.broken = True
    clock.now += oidc_keys.FRESH_SECONDS + 1
    assert issuer.read(published.token())
    wait_until(lambda: len(published.asked) == 4, what="the keys are asked for in the background")
    clock.now += oidc_keys.LONGEST_SECONDS
    with pytest.raises(IssuerAwayError):
        issuer.read(published.token())


def test_an_issuer_that_hangs_holds_up_few_and_not_for_long(published: fake.Issuer, issuer: Issuer):
    published.hangs = threading.Event()
    token, ended = published.token(), list[float]()
    began = time.monotonic()

    def ask() -> None:
        with pytest.raises(IssuerAwayError):
            issuer.read(token)
        ended.append(time.monotonic() - began)

    threads = [threading.Thread(target=ask) for _ in range(30)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(20)
    ended.sort()
    assert len(ended) == 30
    # All but those that may wait were told at once.
    assert ended[29 - oidc_keys.WAITING] < oidc_keys.WAIT_SECONDS / 2
    assert ended[-1] < oidc_keys.WAIT_SECONDS + 3
    published.hangs.set()


@pytest.mark.parametrize(
    "document",
    [
        {"issuer": "https://evil.example"},
        {"jwks_uri": "ftp://127.0.0.1/keys"},
        {"jwks_uri": "file:///etc/passwd"},
        {"token_endpoint": None},
        {"jwks_uri": "/keys"},
    ],
)
def test_an_issuer_that_answers_oddly_lets_nobody_in(
    published: fake.Issuer, issuer: Issuer, document: dict[str, Any]
):
    published.document = document
    with pytest.raises(IssuerAwayError):
        issuer.read(published.token())
