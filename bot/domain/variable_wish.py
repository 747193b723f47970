"""What variables somebody wants in a scope, checked and decided before anything is stored (pure)."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from bot.domain.variable import (
    MAX_COUNT,
    MAX_SECRETS,
    MAX_TOTAL,
    Place,
    Reach,
    Scope,
    Variable,
    is_secret,
    name_problem,
    value_problem,
)
from bot.errors import ErrorCode, UserError


@dataclass(frozen=True)
class Wanted:
    """A variable as somebody wants it. What is None stays as it is, or is decided by the name."""

    name: str
    reach: Reach
    value: str | None = field(default=None, repr=False)
    secret: bool | None = None
    build: bool | None = None
    runtime: bool | None = None


@dataclass(frozen=True)
class Problem:
    """Why a variable can't be set: what of it is wrong, and what to do. Nothing of its value."""

    name: str
    about: str
    message: str


class VariablesRefusedError(UserError):
    """Variables that can't be set, each with its reason; nothing of the request is done."""

    def __init__(self, problems: Sequence[Problem]) -> None:
        self.problems = problems
        first = problems[0]
        super().__init__(ErrorCode.VARIABLE_REFUSED, name=first.name, reason=first.message)


def gone(
    there: Mapping[tuple[str, Reach], Variable],
    wanted: Sequence[Wanted],
    unset: Iterable[tuple[str, Reach | None]],
    *,
    replaces: bool,
) -> list[tuple[str, Reach]]:
    """Which of the variables that are there go; a name that is unset without a reach goes in all."""
    kept = {(one.name, one.reach) for one in wanted}
    named = set(unset)
    return [key for key in there if key not in kept and (replaces or key in named or (key[0], None) in named)]


def settle(
    place: Place, there: Mapping[tuple[str, Reach], Variable], wanted: Sequence[Wanted]
) -> list[Wanted]:
    """What is wanted with everything decided. Raises `VariablesRefusedError`."""
    problems: list[Problem] = []
    settled: dict[tuple[str, Reach], Wanted] = {}
    for one in wanted:
        key = (one.name, one.reach)
        whole = _whole(one, there.get(key))
        found = list(_problems(place, whole, there.get(key)))
        if key in settled:
            found.append(Problem(one.name, "appliesTo", f"It is given twice for {one.reach}."))
        problems += found
        settled[key] = whole
    if problems:
        raise VariablesRefusedError(problems)
    return list(settled.values())


def _whole(wanted: Wanted, old: Variable | None) -> Wanted:
    secret = wanted.secret
    if secret is None:
        secret = old.secret if old else is_secret(wanted.name, wanted.value or "")
    build = wanted.build if wanted.build is not None else old.build if old else True
    runtime = wanted.runtime if wanted.runtime is not None else old.runtime if old else True
    return Wanted(wanted.name, wanted.reach, wanted.value, secret, build, runtime)


def _problems(place: Place, wanted: Wanted, old: Variable | None) -> Iterable[Problem]:
    name, is_hidden = wanted.name, bool(wanted.secret)
    if text := name_problem(name):
        yield Problem(shown_name(name), "name", text)
    if place.scope is Scope.ENVIRONMENT and wanted.reach is not Reach.ALL:
        yield Problem(name, "appliesTo", "A variable of one environment counts there: leave this out.")
    if not (wanted.build or wanted.runtime):
        yield Problem(name, "build", "It would count neither at build nor at run time: set one, or unset it.")
    if wanted.value is not None:
        if text := value_problem(wanted.value, secret=is_hidden):
            yield Problem(name, "value", text)
    elif old is None:
        yield Problem(name, "value", "It has no value yet, so give one.")
    elif old.secret != is_hidden:
        yield Problem(name, "value", "Give the value again to make a secret plain, or the other way round.")


def shown_name(name: str) -> str:
    """What of a name may be repeated in an error: one line, and nothing of a value."""
    # What stands behind a `=` is a value that somebody took for a part of the name.
    text = name.partition("=")[0][:100]
    return "".join(letter if letter.isprintable() else "\N{REPLACEMENT CHARACTER}" for letter in text)


def check_room(place: Place, there: Sequence[Variable], settled: Sequence[Wanted]) -> None:
    """Raise `VariablesRefusedError` when a scope would have too many, or too much."""
    sizes = {(one.name, one.reach): (one.size, one.secret) for one in there}
    for one in settled:
        key = (one.name, one.reach)
        size = len(one.value.encode()) if one.value is not None else sizes[key][0]
        sizes[key] = (size, bool(one.secret))
    total = sum(size for size, _ in sizes.values())
    hidden = sum(size for size, secret in sizes.values() if secret)
    text = (
        f"A scope may have {MAX_COUNT} variables, and these would be {len(sizes)}."
        if len(sizes) > MAX_COUNT
        else f"All values of a scope may have {MAX_TOTAL} bytes together, and these would have {total}."
        if total > MAX_TOTAL
        else f"All secrets of a scope may have {MAX_SECRETS} bytes together, and these would have {hidden}."
        if hidden > MAX_SECRETS
        else None
    )
    if text is not None:
        name = settled[-1].name if settled else place.scope
        raise VariablesRefusedError([Problem(name, "value", text)])
