from collections.abc import Generator
from datetime import timedelta
from pathlib import Path

import pytest

from bot.domain.custom_domain import GRACE, Domain, DomainState
from bot.domain.ids import DomainId, ReleaseId
from bot.store import domains, environments
from bot.store.domains import NewDomain
from bot.store.engine import reading, writing
from jobs.addresses import Addresses
from jobs.domains import Domains
from jobs.gates import Gates
from jobs.records import Records
from jobs.site_entry import NO_RELEASE
from jobs.sites import Sites
from tests.fakes.dns import NameServer, name_server
from tests.instance import Instance


class Place:
    """An instance with two live apps, and what looks at domains there."""

    def __init__(self, home: Path, server: NameServer) -> None:
        self.server = server
        self.instance = Instance(home)
        self.instance.moment = self.instance.now()
        self.sites = Sites(home / "edge")
        self.addresses = Addresses(self.instance.engine, self.sites, Gates(home / "edge"), domain="localhost")
        records = Records([server.address])
        self.domains = Domains(
            self.instance.settings, self.instance.engine, self.addresses, records.texts, self.instance.now
        )
        for slug in ("shop", "blog"):
            self.instance.push(self.instance.app(slug), "a" * 40)
            self.instance.succeed(self.instance.claim())
        for number in (1, 2):
            (home / "edge" / "releases" / str(number) / "files").mkdir(parents=True)
        self.sites.activate("shop.localhost", activation=1, release=ReleaseId(1), spa=False, rules=False)
        self.sites.activate("blog.localhost", activation=1, release=ReleaseId(2), spa=False, rules=False)

    def claim(self, hostname: str, *, app: str = "shop", redirect_to: str | None = None) -> Domain:
        with writing(self.instance.engine) as tx:
            found = environments.by_name(tx, self.instance.app_named(app).id, "production")
            assert found is not None
            new = NewDomain(found.id, hostname, f"token of {app}", redirect_to)
            return domains.insert(tx, new, self.instance.now())

    def prove(self, hostname: str, app: str = "shop") -> None:
        self.server.texts[f"_slipway-challenge.{hostname}"] = ["v=other", f"token of {app}"]

    def look(self, one: Domain) -> Domain:
        after = self.domains.look_at(one.id)
        assert after is not None
        return after


@pytest.fixture
def place(tmp_path: Path) -> Generator[Place]:
    with name_server() as server:
        place = Place(tmp_path, server)
        yield place
        place.instance.close()


def test_a_claim_is_proved_by_its_record_and_shown(place: Place):
    one = place.claim("acme.example")
    failing = place.look(one)
    assert failing.state is DomainState.FAILING
    assert "There is no TXT record _slipway-challenge.acme.example" in failing.found
    assert "token of shop" in failing.found
    assert place.sites.active("acme.example") is None
    place.server.texts[one.challenge] = ["nonsense"]
    assert "has 'nonsense'" in place.look(one).found
    place.prove("acme.example")
    place.instance.pass_by(timedelta(minutes=1))
    place.domains.look_at_due()
    with reading(place.instance.engine) as tx:
        assert [found.hostname for found in domains.verified(tx)] == ["acme.example"]
    assert place.sites.active("acme.example") == place.sites.active("shop.localhost")


def test_a_domain_that_redirects_sends_its_visitors_on(place: Place):
    place.prove("www.acme.example")
    place.look(place.claim("www.acme.example", redirect_to="acme.example"))
    entry = place.sites.active("www.acme.example")
    assert entry is not None
    assert (entry.moved_to, entry.release) == ("acme.example", NO_RELEASE)


def test_a_domain_follows_each_switch_of_its_environment(place: Place):
    place.prove("acme.example")
    one = place.look(place.claim("acme.example"))
    place.sites.activate("shop.localhost", activation=2, release=ReleaseId(2), spa=True, rules=False)
    with reading(place.instance.engine) as tx:
        environment = environments.get(tx, one.environment_id)
    place.addresses.follow(environment)
    assert place.sites.active("acme.example") == place.sites.active("shop.localhost")
    place.addresses.darken(environment)
    assert place.sites.active("acme.example") is None


def test_nobody_takes_a_domain_that_another_has_proved(place: Place):
    place.prove("acme.example")
    mine = place.look(place.claim("acme.example"))
    assert mine.state is DomainState.VERIFIED
    place.prove("acme.example", "blog")
    place.server.texts["_slipway-challenge.acme.example"].append("token of shop")
    theirs = place.look(place.claim("acme.example", app="blog"))
    assert theirs.state is DomainState.FAILING
    assert "another environment has this hostname" in theirs.found
    assert place.look(mine).state is DomainState.VERIFIED
    assert place.sites.active("acme.example") == place.sites.active("shop.localhost")


def test_a_lost_record_is_warned_of_and_then_taken_down(place: Place):
    place.prove("acme.example")
    one = place.look(place.claim("acme.example"))
    place.server.is_broken = True
    assert place.look(one).state is DomainState.VERIFIED
    place.server.is_broken = False
    place.server.texts.clear()
    losing = place.look(one)
    assert losing.state is DomainState.LOSING
    assert losing.ends_at == place.instance.now() + GRACE
    assert place.sites.active("acme.example") is not None
    place.prove("acme.example")
    assert place.look(one).state is DomainState.VERIFIED
    place.server.texts.clear()
    place.look(one)
    place.instance.pass_by(GRACE)
    lost = place.look(one)
    assert lost.state is DomainState.FAILING
    assert "taken down" in lost.found
    assert place.sites.active("acme.example") is None


def test_the_sweep_shows_what_is_verified_and_nothing_else(place: Place):
    place.prove("acme.example")
    place.look(place.claim("acme.example"))
    place.claim("other.example")
    with reading(place.instance.engine) as tx:
        wanted = place.addresses.wanted(tx)
    assert "acme.example" in wanted
    assert "other.example" not in wanted


def test_a_claim_that_is_gone_is_left_alone(place: Place):
    assert place.domains.look_at(DomainId(77)) is None
