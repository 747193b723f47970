"""How people sign in to the console (pure)."""

from enum import StrEnum


class SignedInBy(StrEnum):
    """What proved who somebody is."""

    GITHUB = "github"
    OIDC = "oidc"
    PASSWORD = "password"  # noqa: S105 a kind, no secret
    INVITATION = "invitation"
