"""Two releases side by side: files, rules, names of variables, commands."""

from typing import Annotated, Literal

from pydantic import Field

from bot.api.envelope import Model
from bot.api.operation import About, Call, Operation
from bot.api.reading import is_word
from bot.api.refusals import Code, conflict, unfit
from bot.domain.contents import Manifest
from bot.domain.difference import FileChange, files_changed, lines_changed, names_changed
from bot.domain.ids import Digest
from bot.domain.release import Release
from bot.domain.roles import Verb
from bot.shelf import GoneError, Shelf
from bot.store import releases, steps

SHOWN = 1000
"""Changed files that an answer lists."""
_RULES = 256 * 1024
Word = Annotated[str, Field(min_length=1, max_length=100)]


class CompareQuery(Model):
    """Which releases: number, name, or start of the commit."""

    from_: Word = Field(alias="from", examples=["amber-otter-41"])
    to: Word = Field(examples=["amber-otter-42"])


class SideView(Model):
    """One of the two."""

    number: int = Field(examples=[42])
    name: str = Field(examples=["amber-otter-42"])
    commit: str = Field(examples=["5c1f0a3e9d7b2c4e6f8a0b1d3c5e7f9a1b3c5d7e"])
    files: int = Field(examples=[128])
    size: int = Field(examples=[1234567])
    """Bytes."""


class FileChangeView(Model):
    """A file that differs; sizes in bytes."""

    path: str = Field(examples=["assets/app-3f9a1c2e.js"])
    change: Literal["added", "removed", "changed"] = Field(examples=["changed"])
    size_before: int | None = Field(examples=[4096])
    size_after: int | None = Field(examples=[4100])


class LinesView(Model):
    """Lines of a file of rules that differ."""

    added: list[str] = Field(examples=[["/old /new 301"]])
    removed: list[str] = Field(examples=[[]])


class VariableDifference(Model):
    """A variable that one of the two builds was given and the other was not, or with another value."""

    name: str = Field(examples=["API_URL"])
    change: Literal["added", "removed", "changed"] = Field(examples=["changed"])
    """By fingerprints: no value is looked at or told."""


class CommandView(Model):
    """What a step ran, where that differs. Null: nothing, or it is forgotten."""

    step: str = Field(examples=["build"])
    before: str | None = Field(examples=["npm run build"])
    after: str | None = Field(examples=["npm run build:prod"])


class ComparisonView(Model):
    """What differs between two releases."""

    before: SideView
    after: SideView
    is_same: bool = Field(examples=[False])
    """Whether every published byte is the same."""
    added: int = Field(examples=[0])
    removed: int = Field(examples=[0])
    changed: int = Field(examples=[1])
    files: list[FileChangeView]
    """The first thousand, by path."""
    is_cut: bool = Field(examples=[False])
    """Whether more files differ than are listed."""
    redirects: LinesView
    headers: LinesView
    single_page_before: bool = Field(examples=[False])
    single_page_after: bool = Field(examples=[False])
    variables: list[VariableDifference]
    """Of what the builds were given. Files that were published without a build were given nothing."""
    commands: list[CommandView]


def _compare(call: Call) -> ComparisonView:
    asked = call.asked(CompareQuery)
    before, after = _named(call, "from", asked.from_), _named(call, "to", asked.to)
    shelf = Shelf(call.services.settings.artifacts)
    try:
        old, new = shelf.manifest(before.manifest), shelf.manifest(after.manifest)
        rules = [_lines(shelf, old.redirects, new.redirects), _lines(shelf, old.headers, new.headers)]
    except GoneError as error:
        raise conflict(
            Code.CONFLICT, "The files of one of them are gone or damaged. Deploy it anew."
        ) from error
    return _view(call, (before, after), (old, new), rules)


def _view(
    call: Call, sides: tuple[Release, Release], found: tuple[Manifest, Manifest], rules: list[LinesView]
) -> ComparisonView:
    differing = files_changed(found[0].files, found[1].files)
    count = {kind: sum(one.change == kind for one in differing) for kind in ("added", "removed", "changed")}
    return ComparisonView(
        before=_side(sides[0]),
        after=_side(sides[1]),
        is_same=sides[0].manifest == sides[1].manifest,
        **count,
        files=[_file(one) for one in differing[:SHOWN]],
        is_cut=len(differing) > SHOWN,
        redirects=rules[0],
        headers=rules[1],
        single_page_before=sides[0].spa,
        single_page_after=sides[1].spa,
        variables=_variables(call, *sides),
        commands=_commands(call, *sides),
    )


def _named(call: Call, field: str, word: str) -> Release:
    found = releases.by_word(call.tx, call.of_app.id, word) if is_word(word) else None
    if found is None:
        raise unfit(field, f"{call.of_app.slug} keeps no release '{word}'.")
    return found


def _side(release: Release) -> SideView:
    return SideView(
        number=release.number,
        name=release.name,
        commit=release.sha,
        files=release.files,
        size=release.size,
    )


def _file(one: FileChange) -> FileChangeView:
    return FileChangeView(path=one.path, change=one.change, size_before=one.before, size_after=one.after)


def _lines(shelf: Shelf, before: Digest | None, after: Digest | None) -> LinesView:
    if before == after:
        return LinesView(added=[], removed=[])
    old, new = (shelf.read(one, _RULES).decode(errors="replace") if one else "" for one in (before, after))
    added, removed = lines_changed(old, new)
    return LinesView(added=added, removed=removed)


def _variables(call: Call, before: Release, after: Release) -> list[VariableDifference]:
    given = releases.variables_of(call.tx, [before.id, after.id])
    found = names_changed(given.get(before.id, {}), given.get(after.id, {}))
    return [VariableDifference(name=one.name, change=one.change) for one in found]


def _commands(call: Call, before: Release, after: Release) -> list[CommandView]:
    old, new = (
        {step.name: step.command for step in steps.of_deployment(call.tx, one.deployment_id) if step.command}
        for one in (before, after)
    )
    return [
        CommandView(step=name, before=old.get(name), after=new.get(name))
        for name in sorted(old.keys() | new.keys())
        if old.get(name) != new.get(name)
    ]


OPERATIONS = (
    Operation(
        id="compareReleases",
        method="GET",
        path="/apps/{app}/releases/compare",
        summary="Compare two releases",
        tag="Releases",
        about=About.APP,
        verb=Verb.READ,
        handle=_compare,
        answer=ComparisonView,
        query=CompareQuery,
        refusals={409: "The files of one are gone.", 422: "There is no such release."},
    ),
)
