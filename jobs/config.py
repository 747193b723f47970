"""What a deployment would use, for `slipway config show`: of a checkout, or of an app of this instance."""

import argparse
import json
import sys
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, cast

from bot import program, render
from bot.domain.app import App, slug_of
from bot.domain.ids import AppId, ProjectId, Sha, TenantId
from bot.errors import ErrorCode, UserError
from bot.intake.paths import RECIPE_FILE
from bot.intake.recipe import parse, policy_from_json, policy_part, read
from bot.intake.recipe_file import Policy
from bot.settings import Settings
from bot.store import apps
from bot.store.engine import open_engine, reading
from bot.store.migrate import migrate
from jobs.config_values import Value, build_values, policy_values, source_of, text_of
from jobs.effective import SETTINGS, effective, snapshot_of
from jobs.files import CommitFiles, Files, FolderFiles
from jobs.git import Mirrors
from jobs.recipes import RecipeFile, lay_of, nearest, recipe_of
from jobs.workshop import open_mirrors


@dataclass(frozen=True)
class Shown:
    """The values of one app, and what else must be known."""

    app: str
    values: list[Value]
    notes: list[str]


def of_checkout(folder: Path) -> list[Shown]:
    """The apps of a checkout that live in a folder, or all that its slipway.toml names."""
    place = (folder if folder.is_dir() else folder.parent).resolve()
    top = next((one for one in (place, *place.parents) if (one / ".git").exists()), place)
    root = "" if place == top else place.relative_to(top).as_posix()
    files = FolderFiles(top)
    return [Shown(app.slug, _local_values(files, app), []) for app in _apps_in(files, root)]


def of_app(settings: Settings, slug: str) -> Shown:
    """An app of this instance: the build at its production branch, the policy at the default branch.

    Raises `UserError` UNKNOWN_NAME, REPOSITORY_UNREACHABLE, BRANCH_GONE or RECIPE_INVALID.
    """
    engine = open_engine(settings.database)
    migrate(engine)
    with reading(engine) as tx:
        app = apps.by_slug(tx, slug)
        kept = policy_from_json(apps.policy(tx, app.id)) if app else None
    if app is None:
        raise UserError(ErrorCode.UNKNOWN_NAME, field="app", value=slug)
    mirrors = open_mirrors(settings)
    mirrors.fetch(app)
    branch = app.production_branch
    files = CommitFiles(mirrors, app, _head(mirrors, app, branch))
    values = [Value("production_branch", branch, SETTINGS), *_built(files, app, f" on {branch}")]
    rules, notes = _rules(mirrors, app, kept)
    return Shown(slug, [*values, *rules], notes)


def _rules(mirrors: Mirrors, app: App, kept: Policy | None) -> tuple[list[Value], list[str]]:
    branch = mirrors.default_branch(app) or app.production_branch
    file = nearest(CommitFiles(mirrors, app, _head(mirrors, app, branch)), app)
    try:
        policy = policy_part(file.content, app.slug, file=file.path) if file else Policy()
    except UserError as error:
        note = f"The last known rules count: {render.sentence(error.code, error.facts)}"
        return policy_values(app, kept or Policy(), None, f"last known, before {branch} had a mistake"), [
            note
        ]
    return policy_values(app, policy, source_of(file, f" on {branch}")), []


def _built(files: Files, app: App, where: str) -> list[Value]:
    file = nearest(files, app)
    part = recipe_of(file, app)
    root = lay_of(files, app).root
    recipe = effective(app, part, snapshot_of(files, root), file.path if file else RECIPE_FILE)
    return build_values(app, root, recipe, source_of(file, where))


def _local_values(files: Files, app: App) -> list[Value]:
    file = nearest(files, app)
    recipe = parse(file.content, app.slug, file=file.path) if file else None
    policy = recipe.policy if recipe else Policy()
    return [*_built(files, app, ""), *policy_values(app, policy, source_of(file))]


def _apps_in(files: Files, root: str) -> list[App]:
    """The apps that the nearest file has tables for and puts there; else one of the folder's name."""
    named = [_local(name, "") for name in _tables(nearest(files, _local("", root)))]
    inside = [app for app in named if not root or lay_of(files, app).root == root]
    return inside or [_local(slug_of(root.rpartition("/")[2]), root)]


def _tables(file: RecipeFile | None) -> list[str]:
    found: Any = read(file.content).values.get("apps") if file else None
    return list(cast("dict[str, Any]", found)) if isinstance(found, dict) else []


def _local(name: str, root: str) -> App:
    return App(
        id=AppId(0),
        tenant_id=TenantId(0),
        project_id=ProjectId(0),
        slug=name,
        repository="",
        repository_id=None,
        clone_url="",
        installation_id=None,
        production_branch="",
        root_directory=root,
        build_command=None,
        output_directory=None,
        enabled=True,
        created_at=datetime.now(UTC),
    )


def _head(mirrors: Mirrors, app: App, branch: str) -> Sha:
    head = mirrors.head(app, branch)
    if head is None:
        raise UserError(ErrorCode.BRANCH_GONE, branch=branch, url=app.clone_url)
    return head


def _print(found: Shown) -> None:
    width = max(len(one.key) for one in found.values)
    lines = [f"{one.key:<{width}} = {text_of(one.value)}   # {one.origin}" for one in found.values]
    sys.stdout.write("".join(f"{line}\n" for line in [f"[{found.app}]", *lines, *found.notes]))


def main() -> None:
    """Print what was asked for."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--path", default=".")
    parser.add_argument("--app")
    parser.add_argument("--json", action="store_true")
    asked = parser.parse_args()
    shown = [of_app(Settings(), asked.app)] if asked.app is not None else of_checkout(Path(asked.path))
    if asked.json:
        sys.stdout.write(json.dumps([asdict(one) for one in shown]) + "\n")
        return
    for one in shown:
        _print(one)


if __name__ == "__main__":
    program.run(main)
