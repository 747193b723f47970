import subprocess
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from bot.settings import Settings
from jobs.edge import find_caddy
from jobs.edge_config import caddyfile


def settings_of(home: Path, **values: Any) -> Settings:
    return Settings(home=home, **values)


def make_certificate(folder: Path) -> tuple[Path, Path]:
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "example.org")])
    now = datetime.now(UTC)
    builder = x509.CertificateBuilder(name, name, key.public_key(), 1, now, now + timedelta(days=1))
    certificate = builder.sign(key, hashes.SHA256())
    paths = folder / "certificate.pem", folder / "key.pem"
    paths[0].write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
    paths[1].write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
    )
    return paths


def validate(settings: Settings, text: str) -> subprocess.CompletedProcess[str]:
    path = settings.home / "Caddyfile"
    path.write_text(text)
    return subprocess.run(
        [find_caddy(settings), "validate", "--adapter", "caddyfile", "--config", path],
        env={"HOME": str(settings.home)},
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.mark.parametrize(
    "values",
    [
        {"edge_tls": "off", "edge_address": ":8080"},
        {"edge_tls": "off", "edge_address": "localhost:8080"},
        {"edge_tls": "off", "edge_address": "[::1]:8080"},
        {"edge_tls": "on-demand", "edge_address": ":443"},
        {"edge_tls": "on-demand", "edge_address": "127.0.0.1:8443"},
        {"edge_tls": "files", "edge_address": "*:443"},
    ],
)
def test_caddy_takes_each_configuration(tmp_path: Path, values: dict[str, str]):
    home = tmp_path / "a home with spaces"
    home.mkdir()
    certificate, key = make_certificate(home)
    settings = settings_of(home, **values, edge_tls_certificate=certificate, edge_tls_key=key)
    outcome = validate(settings, caddyfile(settings, home / "run" / "rules.sock", 12345))
    assert outcome.returncode == 0, outcome.stderr
    assert "not formatted" not in outcome.stderr


def test_on_demand_asks_the_rules_server(tmp_path: Path):
    text = caddyfile(settings_of(tmp_path, edge_tls="on-demand"), tmp_path / "rules.sock", 12345)
    assert "ask http://127.0.0.1:12345/tls-allowed" in text


def test_a_wildcard_has_its_provider_and_takes_the_token_from_the_environment(tmp_path: Path):
    settings = settings_of(
        tmp_path, edge_tls="dns:cloudflare", preview_domain="apps.example.org", edge_address=":443"
    )
    text = caddyfile(settings, tmp_path / "rules.sock")
    assert "https://apps.example.org:443, https://*.apps.example.org:443 {" in text
    assert "dns cloudflare {env.EDGE_DNS_TOKEN}" in text
    forks = settings.model_copy(update={"fork_domain": "forks.example.net"})
    assert ":443, https://*.forks.example.net:443 {" in caddyfile(forks, tmp_path / "rules.sock")


@pytest.mark.parametrize(
    "values",
    [
        {"edge_tls": "yes"},
        {"edge_tls": "dns:Evil }\n"},
        {"edge_tls": "files"},
        {"edge_tls": "dns:x", "preview_domain": "a b {"},
        {"edge_tls": "dns:x", "fork_domain": "a b {"},
    ],
)
def test_senseless_settings_are_refused(tmp_path: Path, values: dict[str, str]):
    with pytest.raises(ValueError, match=r"SLIPWAY_"):
        caddyfile(settings_of(tmp_path, **values), tmp_path / "rules.sock")


@pytest.mark.parametrize("name", ["a{b}", "a*", "[a]", 'a"', "a\n"])
def test_a_home_that_caddy_would_misread_is_refused(tmp_path: Path, name: str):
    with pytest.raises(ValueError, match="The edge can't work in"):
        caddyfile(settings_of(tmp_path / name), tmp_path / "rules.sock")
