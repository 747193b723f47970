"""What somebody may do in a repository on GitHub, as far as it matters here. Pure."""

from enum import IntEnum


class Level(IntEnum):
    """GitHub's roles, each with all that is below it."""

    NONE = 0
    READ = 1
    WRITE = 2
    MAINTAIN = 3
    ADMIN = 4


_LEVELS = {"admin": Level.ADMIN, "maintain": Level.MAINTAIN, "write": Level.WRITE, "read": Level.READ}


def level_of(permission: str, role: str) -> Level:
    """The level that GitHub's answer means (docs.github.com/rest/collaborators).

    `permission` knows no `maintain`, which is a `write` there, and `role` has names of people's own: so
    the permission counts, and the role only where it is that one.
    """
    level = _LEVELS.get(permission, Level.NONE)
    return Level.MAINTAIN if level is Level.WRITE and role == "maintain" else level
