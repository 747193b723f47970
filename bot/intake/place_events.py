"""GitHub's events about what it lets us see: installations of the App, and repositories. Pure.

Shapes: https://docs.github.com/webhooks/webhook-events-and-payloads#installation, `#repository`
"""

from dataclasses import dataclass
from typing import Annotated, Any

import msgspec
from msgspec import Meta, Struct

from bot.intake import fields
from bot.intake.fields import MAX_TEXT, Repository, RepositoryField

MAX_REPOSITORIES = 1000
INSTALLATION_ACTIONS = frozenset({"created", "deleted", "suspend", "unsuspend"})
REPOSITORY_ACTIONS = frozenset(
    {"renamed", "transferred", "deleted", "archived", "unarchived", "privatized", "publicized"}
)


@dataclass(frozen=True)
class InstallationEvent:
    """An installation of the App came, went, or covers other repositories than before.

    `action`: `created`, `deleted`, `suspend` or `unsuspend`. `added` and `removed` are repositories; of
    one that was created or deleted, all that it covers, as far as GitHub tells.
    """

    installation_id: int
    action: str
    account: str
    added: tuple[Repository, ...]
    removed: tuple[Repository, ...]
    sender: str


@dataclass(frozen=True)
class RepositoryEvent:
    """A repository changed its name, its owner or its state."""

    repository: Repository
    installation_id: int | None
    action: str
    sender: str


class _Installation(Struct):
    id: fields.GitHubId
    account: Any = None


class _InstallationPayload(Struct):
    installation: _Installation
    action: Any = None
    repositories: Any = None
    repositories_added: Any = None
    repositories_removed: Any = None
    sender: Any = None


class _RepositoryPayload(Struct):
    repository: RepositoryField
    action: Annotated[str, Meta(max_length=MAX_TEXT)]
    sender: Any = None
    installation: Any = None


def read_installation(body: bytes) -> InstallationEvent | str:
    """Read an `installation` or `installation_repositories` event; the action, when it means nothing here.

    Raises msgspec's errors.
    """
    payload = msgspec.json.decode(body, type=_InstallationPayload)
    action = payload.action if isinstance(payload.action, str) else ""
    if action not in INSTALLATION_ACTIONS | {"added", "removed"}:
        return action
    covered = _repositories(payload.repositories)
    return InstallationEvent(
        installation_id=payload.installation.id,
        action=action,
        account=fields.text(payload.installation.account, "login"),
        added=_repositories(payload.repositories_added) + (covered if action == "created" else ()),
        removed=_repositories(payload.repositories_removed) + (covered if action == "deleted" else ()),
        sender=fields.text(payload.sender, "login"),
    )


def read_repository(body: bytes) -> RepositoryEvent | str:
    """Read a `repository` event; the action, when it means nothing here. Raises msgspec's errors."""
    payload = msgspec.json.decode(body, type=_RepositoryPayload)
    if payload.action not in REPOSITORY_ACTIONS:
        return payload.action
    repository = fields.repository(payload.repository)
    return RepositoryEvent(
        repository=repository,
        installation_id=fields.number(payload.installation, "id"),
        action=payload.action,
        sender=fields.text(payload.sender, "login"),
    )


def _repositories(found: Any) -> tuple[Repository, ...]:
    listed: Any = found if isinstance(found, list) else []  # pyright: ignore[reportUnknownVariableType]
    made: list[Repository] = []
    for one in listed[:MAX_REPOSITORIES]:
        number, name = fields.number(one, "id"), fields.text(one, "full_name")
        if number is not None and name:
            private: Any = one.get("private")
            made.append(Repository(number, name, "", private if isinstance(private, bool) else None))
    return tuple(made)
