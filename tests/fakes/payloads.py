"""GitHub's webhook payloads as dictionaries, shaped as GitHub sends them.

https://docs.github.com/webhooks/webhook-events-and-payloads#push
"""

from typing import Any

ZEROS = "0" * 40


def push(
    *,
    after: str,
    before: str = ZEROS,
    ref: str = "refs/heads/main",
    repository: str = "acme/shop",
    repository_id: int = 4711,
    default_branch: str = "main",
    message: str = "a change",
    forced: bool = False,
    installation_id: int | None = None,
    login: str = "somebody",
    url: str = "https://github.com",
) -> dict[str, Any]:
    """A push; zeros as `before` mean that the ref is new, as `after` that it was deleted."""
    deleted = after == ZEROS
    commit = None if deleted else _commit(after, message, login, f"{url}/{repository}")
    payload: dict[str, Any] = {
        "ref": ref,
        "before": before,
        "after": after,
        "repository": _repository(repository, repository_id, default_branch, url),
        "pusher": {"name": login, "email": f"{login}@example.org"},
        "sender": _user(login, url),
        "created": before == ZEROS,
        "deleted": deleted,
        "forced": forced,
        "base_ref": None,
        "compare": f"{url}/{repository}/compare/{before[:12]}...{after[:12]}",
        "commits": [commit] if commit else [],
        "head_commit": commit,
    }
    if installation_id is not None:
        payload["installation"] = {"id": installation_id, "node_id": "MDIz"}
    return payload


def pull_request(
    *,
    action: str = "opened",
    number: int = 1,
    sha: str,
    base: str = "main",
    base_sha: str = "b" * 40,
    branch: str = "feature",
    repository: str = "acme/shop",
    repository_id: int = 4711,
    head_repository: str | None = "",
    head_repository_id: int | None = None,
    state: str | None = None,
    merged: bool = False,
    draft: bool = False,
    title: str = "A feature",
    labels: tuple[str, ...] = (),
    label: str | None = None,
    changes: dict[str, Any] | None = None,
    login: str = "somebody",
    kind: str = "User",
    updated_at: str = "2026-01-01T12:00:00Z",
    default_branch: str = "main",
    installation_id: int | None = None,
    url: str = "https://github.com",
) -> dict[str, Any]:
    """An event of a pull request; `head_repository` None means that its fork is gone."""
    base_repository = _repository(repository, repository_id, default_branch, url)
    head: dict[str, Any] | None = base_repository
    if head_repository is None:
        head = None
    elif head_repository:
        head = _repository(head_repository, head_repository_id or 999, default_branch, url)
    pull = {
        "id": 1000 + number,
        "number": number,
        "state": state or ("closed" if action == "closed" else "open"),
        "locked": False,
        "title": title,
        "body": None,
        "user": {**_user(login, url), "type": kind},
        "created_at": "2026-01-01T11:00:00Z",
        "updated_at": updated_at,
        "closed_at": updated_at if action == "closed" else None,
        "merged_at": updated_at if merged else None,
        "draft": draft,
        "labels": [{"id": place, "name": name, "color": "ededed"} for place, name in enumerate(labels, 1)],
        "head": {"label": f"acme:{branch}", "ref": branch, "sha": sha, "repo": head},
        "base": {"label": f"acme:{base}", "ref": base, "sha": base_sha, "repo": base_repository},
        "merged": merged,
        "author_association": "NONE",
        "commits": 1,
        "changed_files": 1,
    }
    payload: dict[str, Any] = {
        "action": action,
        "number": number,
        "pull_request": pull,
        "repository": base_repository,
        "sender": _user(login, url),
    }
    if label is not None:
        payload["label"] = {"id": 9, "name": label, "color": "ededed"}
    if changes is not None:
        payload["changes"] = changes
    if installation_id is not None:
        payload["installation"] = {"id": installation_id, "node_id": "MDIz"}
    return payload


def issue_comment(
    *,
    body: str,
    comment: int,
    number: int = 1,
    action: str = "created",
    on_pull: bool = True,
    repository: str = "acme/shop",
    repository_id: int = 4711,
    login: str = "mona",
    login_id: int = 1,
    kind: str = "User",
    by_app: bool = False,
    written_at: str = "2026-01-01T12:00:00Z",
    default_branch: str = "main",
    url: str = "https://github.com",
) -> dict[str, Any]:
    """A comment on an issue, which is a pull request's when `on_pull`. It tells nothing of the head."""
    page = f"{url}/{repository}/pull/{number}"
    person = {**_user(login, url), "id": login_id, "type": kind}
    issue: dict[str, Any] = {
        "id": 1000 + number,
        "number": number,
        "title": "A feature",
        "state": "open",
        "html_url": page,
        "user": _user("somebody", url),
        "labels": [],
        "created_at": "2026-01-01T11:00:00Z",
    }
    if on_pull:
        issue["pull_request"] = {"url": f"{page}.json", "html_url": page, "merged_at": None}
    app = {"id": 15368, "slug": "some-app", "name": "Some App"} if by_app else None
    return {
        "action": action,
        "issue": issue,
        "comment": {
            "id": comment,
            "html_url": f"{page}#issuecomment-{comment}",
            "user": person,
            "created_at": written_at,
            "updated_at": written_at,
            "author_association": "NONE",
            "body": body,
            "performed_via_github_app": app,
        },
        "repository": _repository(repository, repository_id, default_branch, url),
        "sender": person,
    }


def check_run(
    *,
    sha: str,
    name: str = "test",
    conclusion: str | None = "success",
    action: str = "completed",
    number: int = 1,
    repository: str = "acme/shop",
    repository_id: int = 4711,
    url: str = "https://github.com",
) -> dict[str, Any]:
    """A check run that a CI made."""
    run = {"id": number, "name": name, "head_sha": sha, "conclusion": conclusion, "app": {"id": 15368}}
    return {
        "action": action,
        "check_run": {**run, "status": "completed" if conclusion else "in_progress"},
        "repository": _repository(repository, repository_id, "main", url),
        "sender": _user("github-actions", url),
    }


def check_suite(
    *,
    sha: str,
    action: str = "completed",
    repository: str = "acme/shop",
    repository_id: int = 4711,
    url: str = "https://github.com",
) -> dict[str, Any]:
    """All checks of one app of GitHub's for a commit."""
    return {
        "action": action,
        "check_suite": {"id": 5, "head_sha": sha, "status": action, "conclusion": "success"},
        "repository": _repository(repository, repository_id, "main", url),
        "sender": _user("github-actions", url),
    }


def status(
    *,
    sha: str,
    context: str = "test",
    state: str = "success",
    number: int = 1,
    repository: str = "acme/shop",
    repository_id: int = 4711,
    url: str = "https://github.com",
) -> dict[str, Any]:
    """A commit status that somebody set."""
    return {
        "id": number,
        "sha": sha,
        "name": repository,
        "context": context,
        "state": state,
        "description": None,
        "target_url": None,
        "repository": _repository(repository, repository_id, "main", url),
        "sender": _user("ci", url),
    }


def repository_event(
    action: str,
    *,
    repository: str = "acme/shop",
    repository_id: int = 4711,
    changes: dict[str, Any] | None = None,
    private: bool = False,
    url: str = "https://github.com",
) -> dict[str, Any]:
    """Something happened to a repository as a whole."""
    payload: dict[str, Any] = {
        "action": action,
        "repository": {**_repository(repository, repository_id, "main", url), "private": private},
        "sender": _user("mona", url),
    }
    return payload if changes is None else {**payload, "changes": changes}


def installation(
    action: str,
    *,
    number: int = 9,
    repositories: dict[int, str] | None = None,
    url: str = "https://github.com",
) -> dict[str, Any]:
    """Something happened to an installation; `added` and `removed` are those of its repositories."""
    listed = [{"id": key, "full_name": name, "private": False} for key, name in (repositories or {}).items()]
    payload: dict[str, Any] = {
        "action": action,
        "installation": {"id": number, "account": _user("acme", url)},
        "sender": _user("mona", url),
    }
    if action in ("added", "removed"):
        other = "removed" if action == "added" else "added"
        return {**payload, f"repositories_{action}": listed, f"repositories_{other}": []}
    return {**payload, "repositories": listed}


def _commit(sha: str, message: str, login: str, page: str) -> dict[str, Any]:
    person = {"name": login.title(), "email": f"{login}@example.org", "username": login}
    return {
        "id": sha,
        "tree_id": "f" * 40,
        "distinct": True,
        "message": message,
        "timestamp": "2026-01-01T12:00:00+01:00",
        "url": f"{page}/commit/{sha}",
        "author": person,
        "committer": person,
        "added": [],
        "removed": [],
        "modified": ["README.md"],
    }


def _repository(full_name: str, number: int, default_branch: str, url: str) -> dict[str, Any]:
    owner, _, name = full_name.partition("/")
    return {
        "id": number,
        "node_id": "MDEwOlJlcG9zaXRvcnk=",
        "name": name,
        "full_name": full_name,
        "private": False,
        "owner": {**_user(owner, url), "name": owner, "email": None},
        "html_url": f"{url}/{full_name}",
        "description": None,
        "fork": False,
        "url": f"{url}/{full_name}",
        "created_at": 1735689600,
        "updated_at": "2026-01-01T11:00:00Z",
        "pushed_at": 1767265200,
        "git_url": f"git://github.com/{full_name}.git",
        "ssh_url": f"git@github.com:{full_name}.git",
        "clone_url": f"{url}/{full_name}.git",
        "size": 108,
        "archived": False,
        "disabled": False,
        "visibility": "public",
        "default_branch": default_branch,
        "stargazers": 0,
        "master_branch": default_branch,
    }


def _user(login: str, url: str) -> dict[str, Any]:
    return {"login": login, "id": 1, "type": "User", "site_admin": False, "html_url": f"{url}/{login}"}
