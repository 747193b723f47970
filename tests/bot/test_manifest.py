import pytest
from cryptography.hazmat.primitives.asymmetric import rsa

from bot.manifest import creation_url, has_hook, is_public, manifest
from bot.settings import Settings
from tests.fakes.github_apps import Apps
from tests.fakes.github_routes import Reply
from tests.fakes.github_state import World


def settings(**values: str) -> Settings:
    return Settings.model_validate({"public_url": "https://bot.example.org", **values})


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("https://bot.example.org", True),
        ("http://8.8.8.8:8000", True),
        ("http://localhost:8000", False),
        ("http://bot.localhost", False),
        ("http://127.0.0.1:8000", False),
        ("http://10.1.2.3", False),
        ("http://[::1]:8000", False),
        ("http://server", False),
        ("http://server.local.", False),
        ("", False),
    ],
)
def test_addresses_that_github_can_reach(url: str, expected: bool):
    assert is_public(url) is expected


@pytest.mark.parametrize(
    "values",
    [
        {},
        {"public_url": "http://localhost:8000"},
        {"public_url": "https://a-very-long-host-name-of-a-very-long-company.example.org"},
        {"intake": "poll"},
    ],
)
def test_github_takes_the_manifest(values: dict[str, str]):
    world = World(rsa.generate_private_key(public_exponent=65537, key_size=2048))
    assert len(Apps(world, Reply).submit(manifest(settings(**values)))) == 40


def test_where_github_can_t_reach_us_the_app_has_no_webhook():
    assert "hook_attributes" not in manifest(settings(public_url="http://localhost:8000"))
    assert "default_events" not in manifest(settings(intake="poll"))
    wanted = manifest(settings())
    assert wanted["hook_attributes"] == {"url": "https://bot.example.org/webhooks/github", "active": True}
    assert wanted["redirect_url"] == "https://bot.example.org/setup/github"
    own = {"public_url": "http://10.0.0.5:8000", "github_url": "https://github.corp"}
    assert has_hook(settings(**own))
    assert not has_hook(settings(**own | {"public_url": "http://localhost:8000"}))


def test_it_is_sent_to_the_owner_s_page_on_the_github_of_the_settings():
    assert creation_url(settings(), "s+1") == "https://github.com/settings/apps/new?state=s%2B1"
    own = settings(github_url="https://github.corp/")
    assert (
        creation_url(own, "s", "acme") == "https://github.corp/organizations/acme/settings/apps/new?state=s"
    )
