from collections.abc import Generator
from pathlib import Path

import pytest

from bot.domain.app import App
from bot.domain.ids import DeploymentId
from bot.github.client import connect as connect_github
from bot.github_app import MadeApp
from bot.logs import DeploymentLog, LogReader
from bot.queue import connect
from bot.settings import Settings
from bot.store import apps
from bot.store.apps import NewApp
from bot.store.engine import Engine, open_engine, writing
from bot.vault import open_vault
from jobs.secrecy import GitSignIn, LogOpener
from tests.fakes.contexts import MOMENT
from tests.fakes.github import FakeGitHub
from tests.stores import migrate

OWN = b"the-shop-own-webhook-secret"


class House:
    def __init__(self, fake: FakeGitHub, folder: Path) -> None:
        credentials = {"github_app_id": fake.world.app_id, "github_private_key": fake.world.pem}
        urls = {"github_api_url": fake.url, "github_url": "https://github.test"}
        self.settings = Settings.model_validate({"home": folder, **urls, **credentials})
        self.engine: Engine = open_engine(self.settings.database)
        migrate(self.engine)
        self.redis = connect(f"unix://{folder / 'nothing.sock'}", retries=0)
        made_app = MadeApp(self.settings, self.engine, open_vault(self.settings))
        self.opener = LogOpener(self.settings, self.engine, self.redis, made_app)
        self.hub = connect_github(self.settings)
        self.sign_in = GitSignIn(self.hub, self.opener.hide)
        sealed = open_vault(self.settings).seal(OWN)
        new = NewApp("shop", "acme/shop", "https://github.test/acme/shop.git", "main", webhook_secret=sealed)
        with writing(self.engine) as tx:
            self.app: App = apps.insert(tx, new, MOMENT)

    def open(self, deployment: int) -> DeploymentLog:
        return self.opener.open(self.app, DeploymentId(deployment))

    def said(self, deployment: int) -> str:
        lines = LogReader(self.settings.home, self.redis).lines(DeploymentId(deployment), 0)
        return " ".join(line.text for line in lines)

    def close(self) -> None:
        self.hub.session.close()
        self.engine.dispose()


@pytest.fixture
def house(fake: FakeGitHub, tmp_path: Path) -> Generator[House]:
    made = House(fake, tmp_path)
    yield made
    made.close()


def test_an_apps_own_webhook_secret_is_kept_out_of_its_logs(house: House):
    with house.open(1) as log:
        log.output("build", "stdout", b"it is " + OWN + b"!\n")
    assert house.said(1) == "it is [REDACTED]!"


def test_a_token_is_kept_out_of_the_log_during_which_it_was_made_and_of_all_later_ones(house: House):
    with house.open(1) as log:
        token = house.sign_in(house.app)
        assert token is not None
        log.output("build", "stdout", f"git says {token}\n".encode())
    with house.open(2) as log:
        log.output("build", "stdout", f"again {token}\n".encode())
    assert (house.said(1), house.said(2)) == ("git says [REDACTED]", "again [REDACTED]")
