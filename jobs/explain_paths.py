"""Which apps of a repository a range of commits would deploy, and why: for `slipway explain --paths`."""

import argparse
import json
import re
import sys
from collections.abc import Sequence
from dataclasses import asdict, dataclass

from bot import program, render
from bot.domain.app import App
from bot.domain.ids import Sha
from bot.errors import ErrorCode, UserError
from bot.intake.paths import touches
from bot.intake.recipe import policy_part
from bot.intake.recipe_file import Policy
from bot.settings import Settings
from bot.store import apps
from bot.store.engine import Tx, open_engine, reading
from bot.store.migrate import migrate
from jobs.git import Mirrors
from jobs.knowledge import Knowledge
from jobs.workshop import open_mirrors

_RANGE = re.compile(r"(?P<base>.+?)(?P<dots>\.{2,3})(?P<head>.+)")


@dataclass(frozen=True)
class Verdict:
    """Whether an app would be deployed, and why in a sentence."""

    app: str
    deploys: bool
    reason: str


def verdicts(mirrors: Mirrors, found: Sequence[App], text: str) -> list[Verdict]:
    """What a range such as `main..feature` means for apps of one repository, once fetched.

    With three dots the range begins where the two parted. Raises `UserError`.
    """
    match = _RANGE.fullmatch(text)
    if match is None:
        expected = "two commits or branches, such as main..feature"
        raise UserError(ErrorCode.INVALID_VALUE, field="paths", value=text, expected=expected)
    first = found[0]
    base, head = (_commit(mirrors, first, match[name]) for name in ("base", "head"))
    if match["dots"] == "...":
        base = mirrors.parting(first, base, head) or base
    changed = mirrors.changed(first, base, head)
    known = Knowledge(mirrors)
    return [_verdict(mirrors, known, app, changed=changed, head=head) for app in found]


def _verdict(
    mirrors: Mirrors, known: Knowledge, app: App, *, changed: list[str] | None, head: Sha
) -> Verdict:
    branch = mirrors.default_branch(app) or app.production_branch
    file = known.recipe_file(app, branch)
    try:
        policy = policy_part(file.content, app.slug, file=file.path) if file else Policy()
    except UserError as error:
        return Verdict(app.slug, deploys=False, reason=render.sentence(error.code, error.facts))
    scope = known.scope(app, head)
    if not policy.paths and not scope.root:
        return Verdict(app.slug, deploys=True, reason="every change concerns it: it lives at the top.")
    verdict = touches(policy.paths, scope, changed)
    file_and_rule = f"{verdict.file}: {verdict.rule}" if verdict.file else verdict.rule
    return Verdict(app.slug, verdict.touches, f"{file_and_rule}.")


def _commit(mirrors: Mirrors, app: App, name: str) -> Sha:
    found = mirrors.commit(app, name)
    if found is None:
        expected = "a branch or a commit of the repository"
        raise UserError(ErrorCode.INVALID_VALUE, field="paths", value=name, expected=expected)
    return found


def _apps(tx: Tx, repository: str | None, slug: str | None) -> list[App]:
    """The apps that are asked about, all of one repository."""
    known = apps.all_apps(tx)
    if slug is not None:
        return [app for app in known if app.slug == slug] or _unknown("app", slug)
    names = sorted({app.repository.lower() for app in known})
    if repository is None and len(names) != 1:
        expected = f"one of {', '.join(names) or 'none: there is no app yet'}"
        raise UserError(ErrorCode.INVALID_VALUE, field="repository", value="", expected=expected)
    wanted = (repository or names[0]).lower()
    return [app for app in known if app.repository.lower() == wanted] or _unknown("repository", wanted)


def _unknown(field: str, value: str) -> list[App]:
    raise UserError(ErrorCode.UNKNOWN_NAME, field=field, value=value)


def main() -> None:
    """Print the verdicts."""
    parser = argparse.ArgumentParser()
    parser.add_argument("range")
    parser.add_argument("--repository")
    parser.add_argument("--app")
    parser.add_argument("--json", action="store_true")
    asked = parser.parse_args()
    settings = Settings()
    engine = open_engine(settings.database)
    migrate(engine)
    with reading(engine) as tx:
        found = _apps(tx, asked.repository, asked.app)
    mirrors = open_mirrors(settings)
    mirrors.fetch(found[0])
    told = verdicts(mirrors, found, asked.range)
    if asked.json:
        sys.stdout.write(json.dumps([asdict(one) for one in told]) + "\n")
        return
    width = max(len(one.app) for one in told)
    for one in told:
        sys.stdout.write(f"{one.app:<{width}}  {'deploys' if one.deploys else 'skipped'}  {one.reason}\n")


if __name__ == "__main__":
    program.run(main)
