"""What one run of intake has learned of repositories, so that a burst of pushes asks each once."""

from bot.domain.app import App
from bot.domain.deployment import Commit
from bot.errors import ErrorCode, SlipwayError
from bot.intake.paths import RECIPE_FILE
from jobs.git import Mirrors

FETCH_SECONDS = 120
MAX_RECIPE_BYTES = 64 * 1024


class Knowledge:
    """Answers of the mirrors, each asked for once. Everything is as new as the first question."""

    def __init__(self, mirrors: Mirrors) -> None:
        self._mirrors = mirrors
        self._problems: dict[str, str] = {}
        self._heads: dict[tuple[str, str], Commit | None] = {}
        self._recipes: dict[tuple[str, str, str], bytes | None] = {}

    def problem(self, app: App) -> str:
        """Fetch the app's repository; what went wrong with that, empty when nothing did."""
        if app.clone_url not in self._problems:
            try:
                self._mirrors.fetch(app, seconds=FETCH_SECONDS)
                self._problems[app.clone_url] = ""
            except SlipwayError as error:
                if error.code not in (ErrorCode.REPOSITORY_UNREACHABLE, ErrorCode.REPOSITORY_SILENT):
                    raise
                self._problems[app.clone_url] = str(error.facts.get("detail", error))
        return self._problems[app.clone_url]

    def head(self, app: App, branch: str) -> Commit | None:
        """The commit that a branch points at; None when there is no such branch."""
        key = (app.clone_url, branch)
        if key not in self._heads:
            sha = self._mirrors.head(app, branch)
            self._heads[key] = Commit(sha, self._mirrors.message(app, sha)) if sha else None
        return self._heads[key]

    def recipe_file(self, app: App, branch: str) -> bytes | None:
        """A branch's slipway.toml: the root directory's, else the one at the repository's top."""
        key = (app.clone_url, branch, app.root_directory)
        if key not in self._recipes:
            self._recipes[key] = self._read_recipe(app, branch)
        return self._recipes[key]

    def _read_recipe(self, app: App, branch: str) -> bytes | None:
        head = self.head(app, branch)
        if head is None:
            return None
        for folder in dict.fromkeys((app.root_directory.strip("/"), "")):
            path = f"{folder}/{RECIPE_FILE}" if folder else RECIPE_FILE
            content = self._mirrors.read(app, head.sha, path, MAX_RECIPE_BYTES)
            if content is not None:
                return content
        return None
