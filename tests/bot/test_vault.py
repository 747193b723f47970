import stat
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from cryptography.fernet import Fernet
from hypothesis import given
from hypothesis import strategies as st

from bot.errors import ErrorCode, PlatformError
from bot.keys import webhook_secrets
from bot.settings import Settings
from bot.vault import Vault, open_vault

OLD, NEW = Fernet.generate_key(), Fernet.generate_key()


@given(st.binary(max_size=100))
def test_what_is_sealed_is_opened_and_rotated(secret: bytes):
    sealed = Vault([OLD]).seal(secret)
    both = Vault([NEW, OLD])
    assert both.open(sealed) == secret
    assert Vault([NEW]).open(both.rotate(sealed)) == secret


def test_other_keys_and_changed_bytes_are_refused():
    sealed = Vault([OLD]).seal(b"secret")
    for attempt in (
        lambda: Vault([NEW]).open(sealed),
        lambda: Vault([OLD]).open(sealed[:-4] + b"AAA="),
        lambda: Vault([NEW]).rotate(sealed),
    ):
        with pytest.raises(PlatformError) as caught:
            attempt()
        assert caught.value.code is ErrorCode.ENCRYPTION_KEY_LOST
    with pytest.raises(PlatformError) as caught:
        Vault([b"short"])
    assert caught.value.code is ErrorCode.ENCRYPTION_KEY_INVALID


def test_keys_are_made_once_and_read_by_their_owner_only(tmp_path: Path):
    settings = Settings(home=tmp_path)  # pyright: ignore[reportCallIssue]
    with ThreadPoolExecutor(8) as pool:
        secrets = list(pool.map(webhook_secrets, [settings] * 8))
        vaults = list(pool.map(open_vault, [settings] * 8))
    assert all(one == secrets[0] for one in secrets)
    assert vaults[0].open(vaults[-1].seal(b"x")) == b"x"
    files = sorted((tmp_path / "keys").iterdir())
    assert [path.name for path in files] == ["encryption.key", "webhook.secret"]
    assert all(stat.S_IMODE(path.stat().st_mode) == 0o600 for path in files)


def test_settings_come_first(tmp_path: Path):
    given_keys = {"encryption_key": f"{NEW.decode()},{OLD.decode()}", "github_webhook_secret": "a, b"}
    settings = Settings(home=tmp_path, **given_keys)  # type: ignore[arg-type]
    assert webhook_secrets(settings) == [b"a", b"b"]
    assert open_vault(settings).open(Vault([OLD]).seal(b"x")) == b"x"
    assert not (tmp_path / "keys").exists()
