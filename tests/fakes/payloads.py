from typing import Any


def push(
    repository: str,
    ref: str,
    before: str,
    after: str,
    *,
    repository_id: int = 1,
    message: str = "a change",
    author: str = "somebody",
    installation_id: int | None = None,
) -> dict[str, Any]:
    """A push as GitHub sends it, as far as Slipway reads it."""
    owner, _, name = repository.partition("/")
    commit = {"id": after, "message": message, "author": {"name": author, "username": author}}
    gone = set(after) == {"0"}
    payload: dict[str, Any] = {
        "ref": ref,
        "before": before,
        "after": after,
        "created": set(before) == {"0"},
        "deleted": gone,
        "forced": False,
        "head_commit": None if gone else commit,
        "commits": [] if gone else [commit],
        "repository": {
            "id": repository_id,
            "name": name,
            "full_name": repository,
            "clone_url": f"https://github.com/{repository}.git",
            "default_branch": "main",
            "owner": {"login": owner, "name": owner},
        },
        "pusher": {"name": author},
        "sender": {"login": author, "type": "User"},
    }
    if installation_id is not None:
        payload["installation"] = {"id": installation_id}
    return payload
