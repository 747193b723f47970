from collections.abc import Generator
from pathlib import Path

import pytest

from bot import github_app
from bot.github_app import Secrets, Shown
from bot.settings import Settings
from bot.store.engine import writing
from bot.vault import open_vault
from tests.waiting import wait_until
from tests.web import SECRET, Web

pytestmark = pytest.mark.slow


@pytest.fixture
def web(tmp_path: Path) -> Generator[Web]:
    with Web(tmp_path, f"unix://{tmp_path / 'nobody.sock'}") as web:
        yield web


def keep(web: Web, secret: str) -> None:
    settings = Settings.model_validate({"home": web.home})
    shown = Shown(
        "7", "s", "s", "Iv1", "https://github.com/apps/s", "", settings.github_api_url, has_hook=True
    )
    with writing(web.engine) as tx:
        github_app.keep(tx, open_vault(settings), shown, Secrets("key", "client", secret))


def test_a_made_apps_deliveries_are_taken_without_a_start(web: Web):
    assert web.deliver("guid-1", secret=b"made").status_code == 401
    keep(web, "made")
    wait_until(lambda: web.deliver("guid-1", secret=b"made").status_code == 202, 5, "the new secret counts")
    assert web.deliver("guid-2", secret=SECRET).status_code == 202
    keep(web, "made anew")
    wait_until(lambda: web.deliver("guid-3", secret=b"made anew").status_code == 202, 5, "the newest counts")
    assert web.deliver("guid-4", secret=b"made").status_code == 401


def test_secrets_do_not_show():
    assert "hidden" not in repr(Secrets("hidden", "hidden", "hidden"))
