"""Who may see an app's previews. Pure."""

from enum import StrEnum


class Protection(StrEnum):
    """`OFF`: whoever knows the address. `LINK`: who has a share link, or signs in. `LOGIN`: who signs in."""

    OFF = "off"
    LINK = "link"
    LOGIN = "login"


AUTO = "auto"
"""Stands for `link` where the repository is private, or nobody said that it is not, and `off` elsewhere."""


def effective(setting: str | None, policy: str, private: bool | None) -> Protection:
    """What counts: the app's own setting, else the policy of its slipway.toml; each may be `AUTO`."""
    asked = setting or policy
    if asked != AUTO:
        return Protection(asked)
    return Protection.OFF if private is False else Protection.LINK
