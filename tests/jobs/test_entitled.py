"""An app that bears the name of another organisation's private repository learns nothing of it."""

from collections.abc import Generator
from pathlib import Path

import msgspec
import pytest

from bot import manifest
from bot.domain.app import App
from bot.domain.errand import ErrandKind, ErrandState
from bot.github.call import Call
from bot.github.errors import RejectedError
from bot.store import apps, deployments, installations, people
from bot.store.apps import NewApp
from bot.store.deliveries import NewDelivery, insert_new
from bot.store.engine import reading, writing
from bot.store.people import Tenant
from tests.fakes import payloads
from tests.fakes.github import FakeGitHub
from tests.jobs.asking import Office


@pytest.fixture
def office(fake: FakeGitHub, tmp_path: Path) -> Generator[Office]:
    office = Office(fake, tmp_path)
    code = office.fake.apps.submit(manifest.manifest(office.settings))
    assert office.do(ErrandKind.FINISH_SETUP, code).state is ErrandState.DONE
    yield office
    office.close()


@pytest.fixture
def acme(office: Office) -> Tenant:
    with writing(office.engine) as tx:
        return people.insert_tenant(tx, "acme", "Acme", office.clock.now())


def theirs(office: Office, tenant: Tenant, slug: str, name: str = "acme/shop") -> App:
    new = NewApp(slug, name, f"{office.settings.github_url}/{name}.git", "main")
    with writing(office.engine) as tx:
        scope = (tenant.id, people.projects_of(tx, tenant.id)[0].id)
        return apps.insert(tx, new, office.clock.now(), scope)


def bind(office: Office, tenant: Tenant) -> None:
    with writing(office.engine) as tx:
        installations.bind(tx, 9, tenant.id, account="acme", created_by="a test", now=office.clock.now())


def push(office: Office, guid: str, *, private: bool | None) -> set[str]:
    """Let GitHub tell of a push; the apps that heard of it. None: the push does not say what it is of."""
    payload = payloads.push(after=guid * 40, installation_id=9)
    payload["repository"]["private"] = private
    if private is None:
        del payload["repository"]["private"]
    new = NewDelivery("1", guid, "push", msgspec.json.encode(payload), office.clock.now())
    with writing(office.engine) as tx:
        made = insert_new(tx, [new])["1", guid]
    office.intake.run([made])
    with reading(office.engine) as tx:
        found = {one.app_id for one in deployments.latest(tx, 100) if one.sha == guid * 40}
        return {apps.get(tx, one).slug for one in found}


def test_what_is_private_is_told_to_apps_of_organisations_that_may_know(office: Office, acme: Tenant):
    own, other = (
        office.app("own", f"{office.settings.github_url}/acme/shop.git", "acme/shop"),
        theirs(office, acme, "other"),
    )
    assert push(office, "a", private=True) == {"own"}
    assert push(office, "b", private=False) == {"own", "other"}
    with reading(office.engine) as tx:
        # It was told of what is public; but it is not worked on with the sign-in of others.
        assert apps.get(tx, own.id).installation_id == 9
        assert apps.get(tx, other.id).installation_id is None
    assert push(office, "d", private=None) == {"own"}
    bind(office, acme)
    assert push(office, "c", private=True) == {"other"}


def test_the_sign_in_is_for_organisations_that_it_is_bound_to(office: Office, acme: Tenant):
    office.repository("acme/shop")
    other = theirs(office, acme, "other")
    own = office.app("own", f"{office.settings.github_url}/acme/shop.git", "acme/shop")
    asked = Call("GET", "repos/acme/shop")
    with pytest.raises(RejectedError, match="may not use"):
        office.github.git_token(other)
    with pytest.raises(RejectedError, match="may not use"):
        office.github.send(other, asked)
    assert office.github.git_token(own)
    bind(office, acme)
    assert office.github.git_token(other)
    with pytest.raises(RejectedError, match="may not use"):
        office.github.git_token(own)
    with writing(office.engine) as tx:
        installations.unbind(tx, 9, acme.id)
    assert office.github.git_token(own)


def test_a_listed_repository_becomes_an_app_of_who_may_use_its_installation(office: Office, acme: Tenant):
    office.repository("acme/shop").commit({"index.html": "hi"})
    office.do(ErrandKind.LIST_REPOSITORIES)
    refused = office.do(ErrandKind.MAKE_APP, repository_id=1, tenant_id=acme.id)
    assert (refused.state, "another organisation" in refused.note) == (ErrandState.FAILED, True)
    bind(office, acme)
    done = office.do(ErrandKind.MAKE_APP, repository_id=1, tenant_id=acme.id)
    assert done.state is ErrandState.DONE, done.note
    with reading(office.engine) as tx:
        made = apps.by_slug(tx, "shop")
    assert made is not None
    assert made.tenant_id == acme.id
    assert office.do(ErrandKind.MAKE_APP, repository_id=1).state is ErrandState.FAILED
