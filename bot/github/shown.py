"""What GitHub shows of our deployments, read back: statuses, deployments' states, comments."""

from dataclasses import dataclass
from urllib.parse import quote

import msgspec

from bot.domain.app import App
from bot.domain.ids import Sha
from bot.github.client import COMMENTS, GitHub
from bot.github.errors import NotFoundError
from bot.github.session import Call

MAX_PAGES = 3
"""Pages of 100 contexts of one commit that are read."""


@dataclass(frozen=True)
class ShownStatus:
    """A commit status as people see it."""

    state: str
    description: str


class _Status(msgspec.Struct):
    state: str
    context: str = ""
    description: str | None = None


class _Combined(msgspec.Struct):
    statuses: list[_Status]


class _Comment(msgspec.Struct):
    body: str | None = None


def statuses(github: GitHub, app: App, sha: Sha) -> dict[str, ShownStatus]:
    """The statuses of a commit, by their contexts in lower case. Raises `GitHubError`."""
    found: dict[str, ShownStatus] = {}
    path = f"repos/{quote(app.repository)}/commits/{sha}/status"
    for page in range(1, MAX_PAGES + 1):
        params = {"per_page": "100", "page": str(page)}
        some = github.send(app, Call("GET", path, params=params)).read(_Combined).statuses
        found |= {one.context.lower(): ShownStatus(one.state, one.description or "") for one in some}
        if len(some) < 100:
            break
    return found


def deployment_state(github: GitHub, app: App, number: int) -> str | None:
    """The last state of a GitHub Deployment, empty when it has none; None when it is not there any more.

    Raises `GitHubError`.
    """
    path = f"repos/{quote(app.repository)}/deployments/{number}/statuses"
    try:
        answer = github.send(app, Call("GET", path, params={"per_page": "1"}))
    except NotFoundError:
        return None
    newest = answer.read(list[_Status])
    return newest[0].state if newest else ""


def comment(github: GitHub, app: App, number: int) -> str | None:
    """What a comment says, with plain line ends; None when it is not there. Raises `GitHubError`."""
    path = f"repos/{quote(app.repository)}/issues/comments/{number}"
    try:
        said = github.send(app, Call("GET", path), COMMENTS).read(_Comment).body or ""
    except NotFoundError:
        return None
    # Whoever edits it in a browser leaves the line ends of one.
    return said.replace("\r\n", "\n")
