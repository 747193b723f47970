"""What people may do in a repository (docs.github.com/rest/collaborators/collaborators)."""

from urllib.parse import quote

import msgspec

from bot.domain.app import App
from bot.domain.permission import Level, level_of
from bot.github.client import GitHub
from bot.github.errors import NotFoundError
from bot.github.session import Call

_METADATA = (("metadata", "read"),)


class _User(msgspec.Struct):
    id: int | None = None


class _Permission(msgspec.Struct):
    permission: str
    role_name: str = ""
    user: _User | None = None


def level(github: GitHub, app: App, login: str, number: int | None) -> Level:
    """What somebody may do in the app's repository; nothing, where GitHub knows no such person.

    `number` is the account's that was seen: with another one the name has passed to somebody else.
    `author_association` of events says less: private members of an organization are strangers there.
    Raises `GitHubError`.
    """
    path = f"repos/{quote(app.repository)}/collaborators/{quote(login, safe='')}/permission"
    try:
        found = github.send(app, Call("GET", path), _METADATA).read(_Permission)
    except NotFoundError:
        return Level.NONE
    told = found.user.id if found.user is not None else None
    if None not in (told, number) and told != number:
        return Level.NONE
    return level_of(found.permission, found.role_name)
