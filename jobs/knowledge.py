"""What one run of intake has learned of repositories, so that a burst of pushes asks each once."""

from collections.abc import Callable

from bot.domain.app import App
from bot.domain.deployment import Commit
from bot.domain.ids import AppId, Sha, TenantId
from bot.domain.pull import PullNumber, PullRequest
from bot.errors import ErrorCode, SlipwayError
from bot.intake.paths import Scope
from jobs.files import CommitFiles
from jobs.git import Mirrors
from jobs.heads import head_of_pull
from jobs.package_manifests import Manifests
from jobs.recipes import RecipeFile, nearest
from jobs.scopes import lay_in, manifests_in
from jobs.workspaces import scope_of

FETCH_SECONDS = 120


_Place = tuple[TenantId, str]
Ask = Callable[[App, PullNumber], PullRequest | None]
"""Asks GitHub for a pull request; None when it can't be asked, or does not answer."""


def ask_nobody(_app: App, _number: PullNumber) -> PullRequest | None:
    """For an instance that has no way to ask GitHub."""
    return None


class Knowledge:
    """Answers of the mirrors and of GitHub, each asked for once. All is as new as the first question."""

    def __init__(self, mirrors: Mirrors, ask: Ask = ask_nobody) -> None:
        self._mirrors = mirrors
        self._ask = ask
        # Whatever is remembered is remembered of a tenant's: what one may ask another may not know.
        self._silent: set[TenantId] = set()
        self._pulls: dict[tuple[TenantId, str, PullNumber], PullRequest | None] = {}
        self._pull_problems: dict[tuple[_Place, PullNumber], str] = {}
        self._problems: dict[_Place, str] = {}
        self._heads: dict[tuple[_Place, str], Commit | None] = {}
        self._roots: dict[tuple[AppId, Sha], str] = {}
        self._manifests: dict[tuple[_Place, Sha], Manifests] = {}
        self._recipes: dict[tuple[_Place, str, str], RecipeFile | None] = {}

    def problem(self, app: App) -> str:
        """Fetch the app's repository; what went wrong with that, empty when nothing did."""
        place = _place(app)
        if place not in self._problems:
            self._problems[place] = self._fetch(app)
        return self._problems[place]

    def pull_problem(self, app: App, number: PullNumber) -> str:
        """Fetch the app's repository with a pull request; what went wrong, empty when nothing did."""
        key = (_place(app), number)
        if key not in self._pull_problems:
            self._pull_problems[key] = self._fetch(app, f"refs/pull/{number}")
            self._problems.setdefault(_place(app), self._pull_problems[key])
        return self._pull_problems[key]

    def pull(self, app: App, number: PullNumber) -> PullRequest | None:
        """What GitHub's API says of a pull request; None when it says nothing.

        Once it did not answer a tenant it is left alone for that: pushes wait behind us.
        """
        key = (app.tenant_id, app.repository, number)
        if key not in self._pulls:
            self._pulls[key] = self._ask(app, number) if app.tenant_id not in self._silent else None
            if self._pulls[key] is None:
                self._silent.add(app.tenant_id)
        return self._pulls[key]

    def pull_head(self, app: App, pull: PullRequest) -> Sha:
        """The head of a pull request as git has it. The mirror must have been fetched with it."""
        branch = None if pull.is_fork or not pull.head_branch else self._mirrors.head(app, pull.head_branch)
        head = head_of_pull(pull.head_sha, branch, self._mirrors.at(app, pull.ref))
        # Git may show a push later than the event tells of it.
        return pull.head_sha if self._mirrors.contains(app, pull.head_sha, head) else head

    def message(self, app: App, sha: Sha) -> str:
        """A commit's message; empty when the mirror does not have the commit."""
        return self._mirrors.message(app, sha) if self._mirrors.has(app, sha) else ""

    def pull_changes(self, app: App, pull: PullRequest) -> list[str] | None:
        """Files that a pull request changes; None when unknown."""
        return self._mirrors.changed_since_fork(app, pull.base_branch, pull.head_sha)

    def _fetch(self, app: App, *below: str) -> str:
        try:
            self._mirrors.fetch(app, below=below, seconds=FETCH_SECONDS)
        except SlipwayError as error:
            if error.code not in (ErrorCode.REPOSITORY_UNREACHABLE, ErrorCode.REPOSITORY_SILENT):
                raise
            return str(error.facts.get("detail", error))
        return ""

    def head(self, app: App, branch: str) -> Commit | None:
        """The commit that a branch points at; None when there is no such branch."""
        key = (_place(app), branch)
        if key not in self._heads:
            sha = self._mirrors.head(app, branch)
            self._heads[key] = Commit(sha, self._mirrors.message(app, sha)) if sha else None
        return self._heads[key]

    def recipe_file(self, app: App, branch: str) -> RecipeFile | None:
        """A branch's slipway.toml: the root directory's, else the one at the repository's top."""
        key = (_place(app), branch, app.root_directory)
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
        key = (_place(app), sha)
        if key not in self._manifests:
            has = self._mirrors.has(app, sha)
            unknown = Manifests(unread="the commit is not known")
            self._manifests[key] = manifests_in(self._mirrors, app, sha) if has else unknown
        return scope_of(root, self._manifests[key])


def _place(app: App) -> _Place:
    return app.tenant_id, app.clone_url
