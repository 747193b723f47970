"""Speaking with a remote: who does not answer is told from who says no."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from bot.domain.app import App
from bot.domain.ids import Sha, is_sha
from bot.errors import ErrorCode, PlatformError, UserError
from jobs.git.command import Answer, Git, in_variables
from jobs.git.remotes import Remote, mask, shown
from jobs.git.way import NoWayError, UnknownHostError, Way, Ways

# How git, curl and ssh complain of a server, a name server or a way that does not answer.
_SILENCE = (
    "Operation too slow",
    "timed out",
    "Could not resolve host",
    "Temporary failure in name resolution",
    "Empty reply from server",
    "early EOF",
    "The requested URL returned error: 5",
)


@dataclass(frozen=True)
class Asking:
    """What git is to ask, for how many seconds at most, and whether nobody wants to know any more."""

    argv: Sequence[str]
    seconds: float
    stopped: Callable[[], bool]


def talk(git: Git, ways: Ways, remote: Remote, app: App, *, asking: Asking) -> Answer:
    """Let git speak with a remote.

    Raises `PlatformError` REPOSITORY_SILENT when it does not answer, `UserError` REPOSITORY_UNREACHABLE
    when it says no, or is where nobody may go.
    """
    way = _way(ways, remote, app, asking)
    settings = (("remote.origin.url", remote.url), *remote.secrets, *way.settings)
    variables = in_variables(settings) | git.ssh_with(way.ssh)
    try:
        answer = git.run(asking.argv, variables=variables, seconds=asking.seconds, stopped=asking.stopped)
    except TimeoutError as error:
        raise silent(app, f"no answer within {asking.seconds:.0f} s") from error
    if answer.code < 0:
        # Not by us: as the kernel does when memory runs out.
        raise silent(app, "git was killed")
    if answer.code:
        if any(words in answer.error for words in _SILENCE):
            raise silent(app, answer.last_line)
        raise unreachable(app, answer.last_line)
    return answer


def _way(ways: Ways, remote: Remote, app: App, asking: Asking) -> Way:
    try:
        return ways.to(remote.url, asking.seconds, asking.stopped)
    except NoWayError as error:
        raise unreachable(app, str(error)) from error
    except UnknownHostError as error:
        raise silent(app, str(error)) from error


def silent(app: App, detail: str) -> PlatformError:
    """The remote does not answer."""
    return PlatformError(ErrorCode.REPOSITORY_SILENT, url=shown(app), detail=mask(detail))


def unreachable(app: App, detail: str) -> UserError:
    """The remote says no, or is not there."""
    return UserError(ErrorCode.REPOSITORY_UNREACHABLE, url=shown(app), detail=mask(detail))


def refs_of(answer: Answer) -> dict[str, Sha]:
    """What `ls-remote` told: commits by ref."""
    lines = (line.partition("\t") for line in answer.out.decode(errors="replace").splitlines())
    return {name: Sha(sha) for sha, _, name in lines if is_sha(sha)}
