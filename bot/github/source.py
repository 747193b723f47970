"""What is read from GitHub: the App that it made, who installed it, repositories, branches, pull requests."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any
from urllib.parse import quote

import msgspec

from bot.domain.app import App
from bot.domain.ids import Sha
from bot.domain.listing import Installed, Listed
from bot.domain.pull import PullNumber
from bot.github.client import GitHub
from bot.github.errors import RejectedError, SuspendedError
from bot.github.session import Answer, Call, Grant

MAX_PAGES = 10
"""Pages of 100 installations, or of one installation's repositories, that are listed."""
_METADATA = (("metadata", "read"),)
_CONTENTS = (("contents", "read"), ("metadata", "read"))
_PULLS = (("metadata", "read"), ("pull_requests", "read"))


class _Account(msgspec.Struct):
    login: str = ""


class Converted(msgspec.Struct):
    """The App that GitHub made from a manifest. `pem` is its private key."""

    id: int
    slug: str
    name: str
    html_url: str
    client_id: str
    client_secret: str
    pem: str
    webhook_secret: str | None = None
    owner: _Account | None = None


class _Installation(msgspec.Struct):
    id: int
    account: _Account | None = None
    html_url: str = ""
    suspended_at: datetime | None = None


class _Repository(msgspec.Struct):
    id: int
    full_name: str
    clone_url: str
    default_branch: str | None = None
    private: bool = False
    archived: bool = False


class _Repositories(msgspec.Struct):
    repositories: list[_Repository]


class _Person(msgspec.Struct):
    name: str = ""


class _CommitText(msgspec.Struct):
    message: str = ""
    author: _Person | None = None


class _Commit(msgspec.Struct):
    sha: Sha
    commit: _CommitText
    author: _Account | None = None


class Branch(msgspec.Struct):
    """A branch's head."""

    commit: _Commit

    @property
    def author(self) -> str:
        """The login of the commit's author, or the name that the commit gives."""
        if self.commit.author is not None and self.commit.author.login:
            return self.commit.author.login
        return self.commit.commit.author.name if self.commit.commit.author else ""


@dataclass(frozen=True)
class Page:
    """A page of things as GitHub writes them, newest first. None: nothing changed."""

    found: list[dict[str, Any]] | None
    etag: str
    has_more: bool


def convert(github: GitHub, code: str) -> Converted:
    """Take over the App that GitHub made from our manifest; the code works once, for an hour.

    Raises `RejectedError` when it does not work any more.
    """
    path = f"app-manifests/{quote(code, safe='')}/conversions"
    return github.session.as_nobody(Call("POST", path)).read(Converted)


def set_hook_secret(github: GitHub, url: str, secret: str) -> None:
    """Give the App's webhook an address and a secret, where GitHub made none."""
    body = {"url": url, "content_type": "json", "secret": secret, "insecure_ssl": "0"}
    github.session.as_app(Call("PATCH", "app/hook/config", body, repeatable=True))


def installations(github: GitHub) -> tuple[Installed, ...]:
    """Everybody who installed the App, with their repositories; with a token, what its owner can reach."""
    if not github.session.has_app:
        found, is_cut = _owned(github)
        return (Installed(0, "this token", "", is_cut=is_cut, repositories=found),) if found else ()
    listed: list[Installed] = []
    for number in range(1, MAX_PAGES + 1):
        page = github.session.as_app(Call("GET", "app/installations", params=_page(number)))
        listed += [_installed(github, one) for one in page.read(list[_Installation])]
        if 'rel="next"' not in page.link:
            break
    return tuple(listed)


def repository(github: GitHub, app: App, etag: str = "") -> tuple[Listed | None, str]:
    """An app's repository as GitHub has it, by its id where that is known; None: nothing changed."""
    path = f"repos/{quote(app.repository)}"
    if app.repository_id is not None:
        path = f"repositories/{app.repository_id}"
    answer = github.send(app, Call("GET", path, etag=etag), _METADATA)
    return (None if answer.is_unchanged else _listed(answer.read(_Repository), None)), answer.etag or etag


def branch(github: GitHub, app: App, name: str, etag: str = "") -> tuple[Branch | None, str]:
    """A branch's head; None: nothing changed. Raises `NotFoundError` when there is no such branch."""
    path = f"repos/{quote(app.repository)}/branches/{quote(name)}"
    answer = github.send(app, Call("GET", path, etag=etag), _CONTENTS)
    if not answer.is_unchanged and b'"commit"' not in answer.content:
        raise RejectedError(f"GitHub's answer about {name} has no commit.")
    return (None if answer.is_unchanged else answer.read(Branch)), answer.etag or etag


def pulls(github: GitHub, app: App, *, state: str, number: int = 1, etag: str = "") -> Page:
    """A page of pull requests that are `open`, or of `all`, the last changed first."""
    params = {"state": state, "sort": "updated", "direction": "desc", **_page(number)}
    return _paged(github, app, Call("GET", f"repos/{quote(app.repository)}/pulls", params=params, etag=etag))


def comments(github: GitHub, app: App, *, number: int = 1, etag: str = "") -> Page:
    """A page of comments on a repository's issues and pull requests, the last written first."""
    params = {"sort": "created", "direction": "desc", **_page(number)}
    path = f"repos/{quote(app.repository)}/issues/comments"
    return _paged(github, app, Call("GET", path, params=params, etag=etag))


def pull(github: GitHub, app: App, number: PullNumber) -> dict[str, Any]:
    """A pull request as GitHub writes it."""
    path = f"repos/{quote(app.repository)}/pulls/{number}"
    return github.send(app, Call("GET", path), _PULLS).read(dict[str, Any])


def _paged(github: GitHub, app: App, call: Call) -> Page:
    answer = github.send(app, call, _PULLS)
    if answer.is_unchanged:
        return Page(None, call.etag, has_more=False)
    return Page(answer.read(list[dict[str, Any]]), answer.etag, has_more=_goes_on(answer))


def _installed(github: GitHub, found: _Installation) -> Installed:
    account = found.account.login if found.account else ""
    gone = Installed(found.id, account, found.html_url, suspended=True)
    if found.suspended_at is not None:
        return gone
    grant = Grant(found.id, None, None, _METADATA)
    listed: list[Listed] = []
    for number in range(1, MAX_PAGES + 1):
        try:
            page = github.session.as_installation(
                grant, Call("GET", "installation/repositories", params=_page(number))
            )
        except SuspendedError:
            return gone
        listed += [_listed(one, found.id) for one in page.read(_Repositories).repositories]
        if not _goes_on(page):
            break
    else:
        return Installed(found.id, account, found.html_url, is_cut=True, repositories=tuple(listed))
    return Installed(found.id, account, found.html_url, repositories=tuple(listed))


def _owned(github: GitHub) -> tuple[tuple[Listed, ...], bool]:
    if github.session.static_token is None:
        return (), False
    listed: list[Listed] = []
    for number in range(1, MAX_PAGES + 1):
        page = github.session.with_token(Call("GET", "user/repos", params=_page(number)))
        listed += [_listed(one, None) for one in page.read(list[_Repository])]
        if not _goes_on(page):
            return tuple(listed), False
    return tuple(listed), True


def _listed(found: _Repository, installation: int | None) -> Listed:
    return Listed(
        id=found.id,
        full_name=found.full_name,
        clone_url=found.clone_url,
        default_branch=found.default_branch or "main",
        private=found.private,
        archived=found.archived,
        installation_id=installation,
    )


def _goes_on(page: Answer) -> bool:
    return 'rel="next"' in page.link


def _page(number: int) -> dict[str, str]:
    return {"per_page": "100", "page": str(number)}
