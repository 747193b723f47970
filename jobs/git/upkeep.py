"""What mirrors are kept small by: refs that nobody needs go, then the objects that nothing refers to."""

from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from jobs.git.command import Git, GitFailedError, locked

MAX_PACKS = 40
DEPLOY_REFS = "refs/deploy/"
PACK_EVERY = 7 * 86_400.0
PACK_SECONDS = 300
"""How long a deploy of the same repository may have to wait, at the worst, once a week."""
# A build may still use what it was given; so does git itself (git-gc(1), --prune).
_GRACE = "14.days.ago"
PACKED = "slipway-packed"
"""The mirror's file that says by its time when it was packed last."""
_LOCK_SECONDS = 5.0


def make(git: Git, mirror: Path) -> None:
    """Make a mirror unless it is there. The caller holds its lock."""
    if not mirror.exists():
        new = mirror.with_suffix(".new")
        git.must(["init", "--quiet", "--bare", "--template=", str(new)])
        new.rename(mirror)
    # We hold the lock, so these were left by a git that was killed.
    for left in (*mirror.glob("*.lock"), *(mirror / "refs").rglob("*.lock")):
        left.unlink()


def tidy(git: Git, mirror: Path) -> None:
    """Put packs together when they are many: every fetch leaves one, and many make each question slow."""
    if sum(1 for _ in (mirror / "objects" / "pack").glob("*.pack")) > MAX_PACKS:
        git.must([f"--git-dir={mirror}", "repack", "-d", "--quiet", "--geometric=2"])


def forget_commits(git: Git, mirror: Path, wanted: Callable[[], set[str]]) -> int:
    """Delete the refs that keep commits from being pruned, but for those wanted; how many.

    The commits are asked for after the refs were listed. Nothing is lost at once: objects stay for two
    weeks more, and a ref that is missed is made again by the next fetch. Raises `TimeoutError` while a
    fetch is under way.
    """
    with locked(mirror.with_suffix(".lock"), _LOCK_SECONDS):
        at = f"--git-dir={mirror}"
        listed = git.must([at, "for-each-ref", "--format=%(refname)", DEPLOY_REFS]).decode().split()
        keep = wanted()
        gone = [ref for ref in listed if ref.removeprefix(DEPLOY_REFS) not in keep]
        if gone:
            orders = "".join(f"delete {ref}\0\0" for ref in gone).encode()
            answer = git.run([at, "update-ref", "-z", "--stdin"], given=orders)
            if answer.code:
                raise GitFailedError(["update-ref"], answer)
        return len(gone)


def is_due(mirror: Path, now: float) -> bool:
    """Whether a mirror got something since it was packed, and that is a week ago."""
    mark = mirror / PACKED
    packed = mark.stat().st_mtime if mark.exists() else mirror.stat().st_ctime
    newest = max((pack.stat().st_mtime for pack in (mirror / "objects" / "pack").glob("*.pack")), default=0)
    return newest > packed and now - packed > PACK_EVERY


def pack(git: Git, mirror: Path) -> None:
    """Pack refs and objects anew, without those that nothing refers to for two weeks.

    Raises `TimeoutError` when a fetch is under way or the work takes too long; it is then left to the
    next week.
    """
    with locked(mirror.with_suffix(".lock"), _LOCK_SECONDS):
        (mirror / PACKED).touch()
        argv = [f"--git-dir={mirror}", "gc", "--quiet", f"--prune={_GRACE}"]
        answer = git.run(argv, seconds=PACK_SECONDS)
        if answer.code:
            raise GitFailedError(["gc"], answer)
        # Again, since its own pack is newer than the mark that keeps a failure from being tried every hour.
        (mirror / PACKED).touch()


def remove(
    mirror: Path, trash: Path, delete: Callable[[Path], None], *, seconds: float = _LOCK_SECONDS
) -> None:
    """Remove a mirror whole. Raises `TimeoutError` while somebody fetches into it."""
    with locked(mirror.with_suffix(".lock"), seconds), suppress(FileNotFoundError):
        mirror.rename(trash)
    delete(trash)
