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
    """A repository changed its name, its owner or its state.

    `old_name`: its full name before, if that changed.
    """

    repository: Repository
    installation_id: int | None
    action: str
    old_name: str
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
    changes: Any = None
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
        old_name=_old_name(repository.full_name, payload.changes),
        sender=fields.text(payload.sender, "login"),
    )


def _old_name(full_name: str, changes: Any) -> str:
    owner, _, name = full_name.partition("/")
    changed: Any = changes if isinstance(changes, dict) else {}  # pyright: ignore[reportUnknownVariableType]
    before = fields.text(_below(changed, "repository", "name"), "from")
    if before:
        return f"{owner}/{before}"
    givers = [_below(changed, "owner", "from", kind) for kind in ("user", "organization")]
    former = next((login for one in givers if (login := fields.text(one, "login"))), "")
    return f"{former}/{name}" if former else ""


def _below(found: Any, *names: str) -> Any:
    for name in names:
        found = found.get(name) if isinstance(found, dict) else None  # pyright: ignore[reportUnknownVariableType, reportUnknownMemberType]
    return found  # pyright: ignore[reportUnknownVariableType]


def _repositories(found: Any) -> tuple[Repository, ...]:
    listed: Any = found if isinstance(found, list) else []  # pyright: ignore[reportUnknownVariableType]
    made: list[Repository] = []
    for one in listed[:MAX_REPOSITORIES]:
        number, name = fields.number(one, "id"), fields.text(one, "full_name")
        if number is not None and name:
            private: Any = _below(one, "private")
            made.append(Repository(number, name, "", private if isinstance(private, bool) else None))
    return tuple(made)
