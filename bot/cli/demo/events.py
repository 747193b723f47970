"""What GitHub would send of the demo's repository."""

from typing import Any

from bot.clock import utc_now

REPOSITORY = "demo/site"
REPOSITORY_ID = 1


def push(before: str, after: str, branch: str = "main") -> dict[str, Any]:
    """A push to a branch."""
    author = {"name": "Slipway demo"}
    return {
        "ref": f"refs/heads/{branch}",
        "before": before,
        "after": after,
        "created": set(before) == {"0"},
        "deleted": False,
        "forced": False,
        "head_commit": {"id": after, "message": "Say that it is live", "author": author},
        "commits": [],
        "pusher": {"name": "demo"},
        "repository": _repository(),
    }


def pull(action: str, number: int, branch: str, *, sha: str, base_sha: str) -> dict[str, Any]:
    """An event of a pull request of one branch into main; `closed` means merged."""
    ended = action == "closed"
    facts: dict[str, Any] = {
        "number": number,
        "state": "closed" if ended else "open",
        "merged": ended,
        "title": "Say it better",
        "draft": False,
        "user": {"login": "demo", "type": "User"},
        "labels": [],
        "updated_at": f"{utc_now():%Y-%m-%dT%H:%M:%SZ}",
        "head": {"ref": branch, "sha": sha, "repo": _repository()},
        "base": {"ref": "main", "sha": base_sha, "repo": _repository()},
    }
    return {"action": action, "number": number, "pull_request": facts, "repository": _repository()}


def _repository() -> dict[str, Any]:
    return {"id": REPOSITORY_ID, "full_name": REPOSITORY, "default_branch": "main", "private": False}
