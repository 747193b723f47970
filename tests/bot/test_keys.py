from pathlib import Path

from bot.keys import known_secrets, webhook_secrets
from bot.settings import Settings


def test_whatever_is_secret_is_known_to_those_who_hide_it(tmp_path: Path):
    given = {
        "home": tmp_path,
        "github_token": "ghp_token",
        "database_url": "postgresql://slipway:p%40ss@db/slipway",
        "redis_url": "rediss://:queue-word@queue:6379",
    }
    settings = Settings.model_validate(given)
    made = webhook_secrets(settings)
    assert {b"ghp_token", b"p@ss", b"queue-word", *made} <= set(known_secrets(settings))
