"""What others reported of a commit: check runs and commit statuses.

https://docs.github.com/rest/checks/runs, https://docs.github.com/rest/commits/statuses
"""

from urllib.parse import quote

import msgspec

from bot.domain.app import App
from bot.domain.checks import Check, CheckKind, state_of_run, state_of_status
from bot.domain.ids import Sha
from bot.github.client import GitHub
from bot.github.session import Call

MAX_PAGES = 5
"""Pages of 100 check runs, and of 100 contexts, that are read."""
_PERMISSIONS = (("checks", "read"), ("statuses", "read"))


class _Run(msgspec.Struct):
    id: int
    name: str
    status: str = ""
    conclusion: str | None = None


class _Runs(msgspec.Struct):
    check_runs: list[_Run]


class _Status(msgspec.Struct):
    id: int
    context: str
    state: str
    description: str | None = None


class _Combined(msgspec.Struct):
    statuses: list[_Status]


def of_commit(github: GitHub, app: App, sha: Sha) -> list[Check]:
    """Every check of a commit, the latest of each name. Raises `GitHubError`."""
    return [*_runs(github, app, sha), *_statuses(github, app, sha)]


def _runs(github: GitHub, app: App, sha: Sha) -> list[Check]:
    found: list[Check] = []
    path = f"repos/{quote(app.repository)}/commits/{sha}/check-runs"
    for page in range(1, MAX_PAGES + 1):
        params = {"filter": "latest", "per_page": "100", "page": str(page)}
        answer = github.send(app, Call("GET", path, params=params), _PERMISSIONS)
        runs = answer.read(_Runs).check_runs
        found += [
            Check(CheckKind.RUN, one.name, state_of_run(one.status, one.conclusion), one.id) for one in runs
        ]
        if len(runs) < 100:
            break
    return found


def _statuses(github: GitHub, app: App, sha: Sha) -> list[Check]:
    found: list[Check] = []
    path = f"repos/{quote(app.repository)}/commits/{sha}/status"
    for page in range(1, MAX_PAGES + 1):
        params = {"per_page": "100", "page": str(page)}
        statuses = github.send(app, Call("GET", path, params=params), _PERMISSIONS).read(_Combined).statuses
        found += [
            Check(CheckKind.STATUS, one.context, state_of_status(one.state), one.id) for one in statuses
        ]
        if len(statuses) < 100:
            break
    return found
