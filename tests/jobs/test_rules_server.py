import http.client
from pathlib import Path

import pytest

from bot.domain.ids import ReleaseId
from bot.settings import Settings
from jobs.gatekeeper import Gatekeeper, Spent
from jobs.rules_server import RulesServer
from jobs.sites import Sites
from tests.jobs.edge_harness import put_release


def gatekeeper(home: Path) -> Gatekeeper:
    return Gatekeeper(Settings(home=home), Spent())  # pyright: ignore[reportCallIssue]


@pytest.mark.parametrize(
    ("domain", "status"),
    [
        ("shop.example.org", 200),
        ("other.example.org", 404),
        ("SHOP.example.org", 404),
        ("..", 404),
        ("", 404),
    ],
)
def test_a_certificate_is_had_only_for_what_is_shown(tmp_path: Path, domain: str, status: int):
    sites = Sites(tmp_path)
    put_release(tmp_path, 1, {"index.html": "x"})
    sites.activate("shop.example.org", activation=1, release=ReleaseId(1), spa=False, rules=False)
    server = RulesServer(tmp_path, tmp_path / "rules.sock", gatekeeper(tmp_path), ask_port=True)
    server.start()
    try:
        assert server.ask_port is not None
        connection = http.client.HTTPConnection("127.0.0.1", server.ask_port, timeout=10)
        connection.request("GET", f"/tls-allowed?domain={domain}")
        assert connection.getresponse().status == status
        connection.close()
    finally:
        server.stop()


def test_a_release_whose_rules_are_lost_is_still_served(tmp_path: Path):
    put_release(tmp_path, 1, {"index.html": "x"})
    (tmp_path / "releases" / "1" / "rules.json").write_bytes(b"[not rules")
    server = RulesServer(tmp_path, tmp_path / "rules.sock", gatekeeper(tmp_path), ask_port=True)
    server.start()
    try:
        assert server.ask_port is not None
        for release in (1, 2):
            connection = http.client.HTTPConnection("127.0.0.1", server.ask_port, timeout=10)
            headers = {"X-Slipway-Release": str(release), "X-Slipway-Uri": "/"}
            connection.request("GET", "/rules", headers=headers)
            assert connection.getresponse().status == 204
            connection.close()
    finally:
        server.stop()
