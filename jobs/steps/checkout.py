"""Brings a kept work tree to the exact commit, and makes sure that it stands there."""

from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path

from bot.domain.app import App
from bot.domain.deployment import UNKNOWN_COMMIT, Phase
from bot.domain.ids import Sha
from bot.domain.pull import PullRequest
from bot.domain.trust import Trust
from bot.errors import ErrorCode, PlatformError, UserError
from jobs.copying import remove_folder
from jobs.git.command import GitFailedError, GitStoppedError, locked
from jobs.git.mirrors import Mirrors
from jobs.git.remotes import shown
from jobs.heads import head_of_pull
from jobs.recipes import Lay
from jobs.scopes import digest_of, lay_in, scope_in
from jobs.steps.context import Context, Source
from jobs.stopping import StoppedError

LOCK_SECONDS = 120
MIB = 1024 * 1024


@dataclass(frozen=True)
class _Tree:
    """A work tree outside of its repository; the index is beside it, so that nothing in it is git's."""

    mirrors: Mirrors
    mirror: Path
    folder: Path

    @property
    def files(self) -> Path:
        return self.folder / "tree"

    @property
    def index(self) -> Path:
        return self.folder / "index"

    def git(self, *argv: str) -> bytes:
        where = (f"--git-dir={self.mirror}", f"--work-tree={self.files}")
        variables = {"GIT_INDEX_FILE": str(self.index)}
        return self.mirrors.git.must([*where, *argv], variables=variables)

    def bring_to(self, sha: Sha) -> None:
        """Make the files those of the commit, no more and no less; raises `GitFailedError`."""
        self.files.mkdir(parents=True, exist_ok=True)
        # We hold the tree's lock, so this was left by a git that was killed.
        self.index.with_suffix(".lock").unlink(missing_ok=True)
        self.git("read-tree", "--reset", "-u", sha)
        with ThreadPoolExecutor(1) as beside:
            # What the commit has not, and what it has: neither looks at what is the other's.
            cleaned = beside.submit(self.git, "clean", "-ffdxq")
            # The files against the index and the index against the commit, in one process.
            self.git("diff-index", "--quiet", sha, "--")
            cleaned.result()

    def clear(self) -> None:
        """Begin anew."""
        self.index.unlink(missing_ok=True)
        if self.files.exists():
            remove_folder(self.files)


def newest_head(context: Context, mirrors: Mirrors, branch: str, *, lately: bool = False) -> Sha:
    """The commit that a branch points at now; it and the deployment's own are in the mirror afterwards.

    `lately`: what deciding has learned within the last seconds is new enough. Raises as
    `Mirrors.newest_head` does, and `StoppedError`.
    """
    ref = f"refs/heads/{branch}"
    try:
        known = mirrors.lately(context.app, (ref,)) if lately else None
        head = (known or {}).get(ref) or mirrors.newest_head(context.app, branch, stopped=context.stopped)
        _get(context, mirrors, head)
    except GitStoppedError as stopped:
        raise StoppedError from stopped
    return head


def tagged(context: Context, mirrors: Mirrors, tag: str) -> Sha:
    """The commit that a tag names now, which is in the mirror afterwards.

    Raises `UserError` TAG_GONE or REPOSITORY_UNREACHABLE, and `StoppedError`.
    """
    ref = f"refs/tags/{tag}"
    # What an annotated tag points at stands behind it with this mark (gitrevisions(7)).
    peeled = f"{ref}^{{}}"
    try:
        found = mirrors.newest(context.app, (ref, peeled), stopped=context.stopped)
        commit = found.get(peeled) or found.get(ref)
        if commit is None:
            raise UserError(ErrorCode.TAG_GONE, tag=tag, url=shown(context.app))
        _get(context, mirrors, commit)
    except GitStoppedError as stopped:
        raise StoppedError from stopped
    return commit


def newest_pull_head(context: Context, mirrors: Mirrors, pull: PullRequest) -> Sha:
    """The commit that a pull request's head is now, as far as git shows one; as `newest_head` otherwise."""
    branch = "" if pull.is_fork or not pull.head_branch else f"refs/heads/{pull.head_branch}"
    refs = [ref for ref in (branch, pull.ref) if ref]
    try:
        known = mirrors.lately(context.app, refs)
        found = known or mirrors.newest(context.app, refs, stopped=context.stopped)
        head = head_of_pull(context.deployment.sha, found.get(branch), found.get(pull.ref))
        _get(context, mirrors, head)
    except GitStoppedError as stopped:
        raise StoppedError from stopped
    return head


def _get(context: Context, mirrors: Mirrors, head: Sha) -> None:
    """Have a head in the mirror, and the deployment's own commit if it can be had."""
    mirrors.fetch_commit(context.app, head, stopped=context.stopped)
    if context.deployment.sha not in (head, UNKNOWN_COMMIT):
        # Gone, perhaps, after a force push: then the head takes its place.
        with suppress(UserError):
            mirrors.fetch_commit(context.app, context.deployment.sha, stopped=context.stopped)


def run(context: Context, mirrors: Mirrors) -> Source:
    """Make the deployment's commit available and bring the environment's work tree to it.

    The tree stays at `home/trees/<environment>/tree`; only what differs is written. Raises
    `UserError` COMMIT_GONE, COMMIT_TOO_LARGE, REPOSITORY_UNREACHABLE, CHECKOUT_REFUSED or ROOT_MISSING,
    `PlatformError` UNEXPECTED when the mirror or the tree is of no use, and `StoppedError`.
    """
    try:
        return _run(context, mirrors)
    except GitStoppedError as stopped:
        raise StoppedError from stopped
    except (GitFailedError, TimeoutError) as error:
        raise PlatformError(ErrorCode.UNEXPECTED, error=str(error)) from error


def _run(context: Context, mirrors: Mirrors) -> Source:
    app, sha = context.app, context.deployment.sha
    if mirrors.fetch_commit(app, sha, stopped=context.stopped):
        _say(context, f"fetched {sha}")
    context.check()
    _refuse_large(context, mirrors)
    lay = lay_in(mirrors, app, sha)
    digest = _digest(mirrors, app, sha, lay)
    if digest is None:
        raise UserError(ErrorCode.ROOT_MISSING, root=lay.root, sha=sha)
    folder = context.settings.home / "trees" / str(context.environment.id)
    tree = _Tree(mirrors, mirrors.path(app), folder)
    with locked(folder / "lock", LOCK_SECONDS, context.stopped):
        _bring(context, tree, sha)
        _warn(context, tree)
    branch = context.deployment.branch or "no branch"
    subject = mirrors.message(app, sha).partition("\n")[0]
    _say(context, f'checked out {sha} ({branch}): "{subject}"')
    return Source(tree.files, tree.files / lay.root, digest)


def _refuse_large(context: Context, mirrors: Mirrors) -> None:
    """Keep a stranger's files off a disk that they would fill: a few bytes of git may name any number."""
    if context.trust is not Trust.STRANGER:
        return
    limit = context.settings.fork_disk
    if mirrors.weighs_more(context.app, context.deployment.sha, limit * MIB):
        raise UserError(ErrorCode.COMMIT_TOO_LARGE, sha=context.deployment.sha, limit=limit)


def _digest(mirrors: Mirrors, app: App, sha: Sha, lay: Lay) -> str | None:
    """What names the sources; with path rules of their own, anything may be a source."""
    scope = scope_in(mirrors, app, sha, lay.root)
    if lay.paths and lay.root:
        scope = replace(scope, unsure="slipway.toml names paths")
    return digest_of(mirrors, app, sha, scope)


def _bring(context: Context, tree: _Tree, sha: Sha) -> None:
    try:
        tree.bring_to(sha)
    except GitFailedError as error:
        context.check()
        _say(context, f"the kept work tree can't be used ({error}); made anew")
        tree.clear()
        try:
            tree.bring_to(sha)
        except GitFailedError as again:
            detail = again.answer.last_line
            raise UserError(ErrorCode.CHECKOUT_REFUSED, sha=sha, detail=detail) from again


def _warn(context: Context, tree: _Tree) -> None:
    if (tree.files / ".gitmodules").is_file():
        _say(context, "the repository has submodules; they are not fetched, and their folders are empty")
    if not _mentions_lfs(tree.files / ".gitattributes"):
        return
    pointers = tree.git("ls-files", "-z", "--", ":(attr:filter=lfs)").split(b"\0")[:-1]
    if pointers:
        example = pointers[0].decode(errors="replace")
        text = f"{len(pointers)} files are in Git LFS, which is not fetched: pointers stand there instead"
        _say(context, f"{text} (such as {example})")


def _mentions_lfs(attributes: Path) -> bool:
    with suppress(OSError):
        return not attributes.is_symlink() and b"filter=lfs" in attributes.read_bytes()
    return False


def _say(context: Context, text: str) -> None:
    context.log.say(Phase.CHECKOUT, text)
