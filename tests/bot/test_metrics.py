"""What Prometheus reads, from the application itself."""

import re
from collections.abc import Generator
from datetime import timedelta
from pathlib import Path

import httpx
import pytest

from bot.console.access import console_key
from bot.domain.deployment import Blame, Failure
from tests.calling import Site, api_site

TOKEN = "scraped by nobody else"
SAMPLE = re.compile(r'([a-z_]+)(?:\{([a-z]+)="([a-z0-9.]+)"\})? (-?[0-9.e+]+)')


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Generator[Site]:
    with api_site(tmp_path_factory.mktemp("home"), metrics_token=TOKEN) as site:
        yield site


def read(site: Site, token: str = TOKEN) -> dict[str, float]:
    """Each sample by its name and label; every line is a comment or a sample."""
    answer = httpx.get(f"{site.url}/metrics", headers={"authorization": f"Bearer {token}"})
    assert answer.status_code == 200, answer.text
    assert answer.headers["content-type"] == "text/plain; version=0.0.4; charset=utf-8"
    assert answer.text.endswith("\n")
    found: dict[str, float] = {}
    typed: set[str] = set()
    for line in answer.text.splitlines():
        if line.startswith("#"):
            typed |= {line.split()[2]} if line.startswith("# TYPE ") else set()
            continue
        sample = SAMPLE.fullmatch(line)
        assert sample, line
        assert sample[1] in typed, f"{line} comes before its type"
        found[sample[1] + (f"/{sample[3]}" if sample[3] else "")] = float(sample[4])
    return found


def test_what_waits_and_what_ended_is_told(site: Site):
    instance = site.instance
    before = read(site)
    for sha in "ab":
        instance.push(site.shop, sha * 40)
        instance.succeed(instance.claim())
    instance.push(site.shop, "c" * 40)
    instance.fail(instance.claim(), Failure("build-failed", {}, Blame.USER))
    instance.push(site.second, "d" * 40)
    instance.moment = instance.now() + timedelta(seconds=30)
    after = read(site)
    assert after["slipway_deployments/queued"] == before["slipway_deployments/queued"] + 1
    assert after["slipway_deployments_ended_last_hour/succeeded"] == 2
    assert after["slipway_deployments_ended_last_hour/failed"] == 1
    assert after["slipway_deployment_seconds_last_hour/0.5"] >= 0
    assert after["slipway_deployments_asked_total"] == before["slipway_deployments_asked_total"] + 4
    assert after["slipway_environments_live"] == 1
    assert after["slipway_updates_owed"] == 4
    assert after["slipway_redis_up"] == 0
    assert after["process_resident_memory_bytes"] > 10 * 1024 * 1024


def test_nobody_reads_them_without_the_token_or_the_console_s_key(site: Site):
    assert httpx.get(f"{site.url}/metrics").status_code == 401
    for token in ("wrong", TOKEN[:-1], "n\u00f6"):
        headers = [(b"authorization", f"Bearer {token}".encode())]
        answer = httpx.get(f"{site.url}/metrics", headers=headers)
        assert answer.status_code == 401
        assert "METRICS_TOKEN" in answer.json()["message"]
        assert answer.headers["www-authenticate"] == "Bearer"
    owner = site.owner.http.headers["authorization"]
    assert httpx.get(f"{site.url}/metrics", headers={"authorization": owner}).status_code == 401
    assert read(site, console_key(site.instance.settings))["slipway_apps"] >= 1
    answer = httpx.get(f"{site.url}/api/v1/orgs", headers={"authorization": f"Bearer {TOKEN}"})
    assert answer.status_code == 401


def test_a_store_that_can_not_be_read_is_said_to_be_so(tmp_path: Path):
    with api_site(tmp_path, metrics_token=TOKEN) as site:
        with site.instance.engine.begin() as tx:
            tx.exec_driver_sql("ALTER TABLE apps RENAME TO gone")
        headers = {"authorization": f"Bearer {TOKEN}"}
        assert httpx.get(f"{site.url}/metrics", headers=headers).status_code == 503
