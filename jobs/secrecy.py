"""What must never show in a deployment's log, and the logs that are told of it."""

from collections.abc import Callable, Collection, Generator
from contextlib import contextmanager
from dataclasses import dataclass
from weakref import WeakSet

from msgspec.structs import astuple
from redis import Redis

from bot.domain.app import App
from bot.domain.ids import AppId, DeploymentId
from bot.errors import PlatformError, SlipwayError
from bot.github.client import GitHub
from bot.github.errors import GitHubError
from bot.github_app import MadeApp
from bot.keys import known_secrets
from bot.log import logger
from bot.logs import DeploymentLog
from bot.redact import Redactor
from bot.settings import Settings
from bot.store import apps
from bot.store.engine import Engine, reading
from bot.variables import Given
from bot.vault import open_vault
from jobs.git.remotes import passwords_of


def keep_out(error: SlipwayError, secrets: Collection[str]) -> None:
    """Take secrets out of what an error tells: a build may have named a file by one."""
    redactor = Redactor(secrets)
    for name, fact in error.facts.items():
        if isinstance(fact, str):
            error.facts[name] = redactor.whole(fact.encode(errors="surrogateescape")).decode(errors="replace")
    error.args = tuple(
        redactor.whole(str(part).encode(errors="surrogateescape")).decode(errors="replace")
        for part in error.args
    )


@dataclass(frozen=True)
class GitSignIn:
    """Gives git a token of GitHub's, if there is any, and tells it to who hides it."""

    hub: GitHub
    told: Callable[[str], None]

    def __call__(self, app: App) -> str | None:
        """A token for the app's repository, if there is any."""
        try:
            token = self.hub.git_token(app)
        except GitHubError as error:
            logger.warning("no token for git", repository=app.repository, error=str(error))
            return None
        if token is not None:
            self.told(token)
        return token


class LogOpener:
    """Opens deployments' logs, and keeps out of them every secret that a build may come across.

    Those are the secrets of this instance, what the app's people gave for it, and each token that was
    made for its repository, also while a log was open already. Other apps' webhook secrets are not
    among them: no build can reach them, and each costs a millisecond and 100 KB a log.
    """

    def __init__(self, settings: Settings, engine: Engine, redis: Redis, made_app: MadeApp) -> None:
        self._settings = settings
        self._engine = engine
        self._redis = redis
        self._made_app = made_app
        self._tokens: set[str] = set()
        self._open: WeakSet[DeploymentLog] = WeakSet()

    def open(self, app: App, deployment: DeploymentId, given: Collection[str] = ()) -> DeploymentLog:
        """The log of a deployment, to be written on; `given` are the secrets that its build is given."""
        secrets = [
            *given,
            *known_secrets(self._settings),
            *passwords_of(app),
            *self._own_of(app.id),
            *self._tokens,
        ]
        secrets += self._of_the_app_on_github()
        home, limit = self._settings.home, self._settings.log_bytes
        log = DeploymentLog(home, deployment, self._redis, secrets, max_bytes=limit)
        self._open.add(log)
        return log

    def hide(self, token: str) -> None:
        """Keep a token that was just made out of every log, those that are open, too."""
        if token not in self._tokens:
            self._tokens.add(token)
            for log in list(self._open):
                log.hide(token)

    def _of_the_app_on_github(self) -> list[bytes]:
        made = self._made_app.secrets()
        return [value.encode() for value in astuple(made) if value] if made else []

    def _own_of(self, app: AppId) -> list[bytes]:
        with reading(self._engine) as tx:
            sealed = apps.sealed_secret(tx, app)
        try:
            return [open_vault(self._settings).open(sealed)] if sealed is not None else []
        except PlatformError as error:
            logger.error(
                "an app's webhook secret can't be read, so it is not hidden", app=app, error=str(error)
            )
            return []


@contextmanager
def silent_about(given: Given) -> Generator[None]:
    """Let no error tell a secret: what it says is shown at GitHub, too."""
    try:
        yield
    except SlipwayError as error:
        keep_out(error, given.secret_values.values())
        raise
