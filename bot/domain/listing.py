"""What the GitHub App may see: its installations and their repositories. Pure."""

from typing import Any

import msgspec


class Listed(msgspec.Struct, frozen=True):
    """A repository on GitHub, as far as making an app of it needs."""

    id: int
    full_name: str
    clone_url: str
    default_branch: str
    private: bool = False
    archived: bool = False
    installation_id: int | None = None


class Installed(msgspec.Struct, frozen=True):
    """An account that installed the App. `is_cut`: it has more repositories than are listed."""

    id: int
    account: str
    page: str
    suspended: bool = False
    is_cut: bool = False
    repositories: tuple[Listed, ...] = ()


def to_json(installations: tuple[Installed, ...]) -> dict[str, Any]:
    """The listing as an errand's result keeps it."""
    return {"installations": msgspec.to_builtins(installations)}


def from_json(result: dict[str, Any]) -> tuple[Installed, ...]:
    """Read what `to_json` wrote."""
    return msgspec.convert(result.get("installations", []), tuple[Installed, ...])


def find(
    installations: tuple[Installed, ...], *, repository_id: int | None = None, name: str = ""
) -> Listed | None:
    """A repository of the listing by its id or its name."""
    for installation in installations:
        for one in installation.repositories:
            if one.id == repository_id or (name and one.full_name.lower() == name.lower()):
                return one
    return None
