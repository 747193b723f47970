"""What one run of intake has learned of repositories, so that a burst of pushes asks each once."""

from bot.domain.app import App
from bot.domain.deployment import Commit
from bot.domain.ids import AppId, Sha
from bot.errors import ErrorCode, SlipwayError
from bot.intake.paths import Scope
from jobs.files import CommitFiles
from jobs.git import Mirrors
from jobs.package_manifests import Manifests
from jobs.recipes import RecipeFile, nearest
from jobs.scopes import lay_in, manifests_in
from jobs.workspaces import scope_of

FETCH_SECONDS = 120


class Knowledge:
    """Answers of the mirrors, each asked for once. Everything is as new as the first question."""

    def __init__(self, mirrors: Mirrors) -> None:
        self._mirrors = mirrors
        self._problems: dict[str, str] = {}
        self._heads: dict[tuple[str, str], Commit | None] = {}
        self._roots: dict[tuple[AppId, Sha], str] = {}
        self._manifests: dict[tuple[str, Sha], Manifests] = {}
        self._recipes: dict[tuple[str, str, str], RecipeFile | None] = {}

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

    def recipe_file(self, app: App, branch: str) -> RecipeFile | None:
        """A branch's slipway.toml: the root directory's, else the one at the repository's top."""
        key = (app.clone_url, branch, app.root_directory)
        if key not in self._recipes:
            head = self.head(app, branch)
            self._recipes[key] = nearest(CommitFiles(self._mirrors, app, head.sha), app) if head else None
        return self._recipes[key]

    def root(self, app: App, sha: Sha) -> str:
        """The app's root directory in a commit: its settings', else the one that slipway.toml names."""
        if app.root_directory:
            return app.root_directory
        key = (app.id, sha)
        if key not in self._roots:
            has = self._mirrors.has(app, sha)
            self._roots[key] = lay_in(self._mirrors, app, sha).root if has else ""
        return self._roots[key]

    def scope(self, app: App, sha: Sha) -> Scope:
        """What the app is made of in a commit; anything may be when the commit is not here."""
        root = self.root(app, sha)
        if not root:
            return Scope()
        key = (app.clone_url, sha)
        if key not in self._manifests:
            has = self._mirrors.has(app, sha)
            unknown = Manifests(unread="the commit is not known")
            self._manifests[key] = manifests_in(self._mirrors, app, sha) if has else unknown
        return scope_of(root, self._manifests[key])
