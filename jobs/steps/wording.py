"""What is said of a build and of its commands."""

from collections.abc import Sequence

from bot.domain.deployment import Phase
from jobs.sandbox.box import End, Outcome
from jobs.steps.context import Context


def say_variables(context: Context) -> None:
    """Say what the build is given, by name."""
    given = context.variables
    if given.values:
        named = (f"{name} (secret)" if name in given.secrets else name for name in sorted(given.values))
        context.log.say(Phase.BUILD, f"variables: {', '.join(named)}")
    if given.withheld:
        names = ", ".join(sorted(given.withheld))
        context.log.say(Phase.BUILD, f"variables withheld from the code of a fork: {names}")


def shown(argv: Sequence[str]) -> str:
    """A command as a person would write it."""
    return " ".join(argv[2:] if tuple(argv[:2]) == ("sh", "-c") else argv)


def ended(outcome: Outcome) -> str:
    """How a command ended."""
    match outcome.end:
        case End.STOPPED:
            return "stopped"
        case End.TIMED_OUT:
            return "took too long: killed"
        case End.OUT_OF_MEMORY:
            return "out of memory: killed"
        case End.EXITED:
            return f"exit code {outcome.code}"
