"""Which `slipway.toml` is an app's, and where that puts the app."""

from dataclasses import dataclass

from bot.domain.app import App
from bot.errors import UserError
from bot.intake.paths import RECIPE_FILE
from bot.intake.recipe import build_part, parse
from bot.intake.recipe_file import BuildRecipe, Policy
from jobs.files import Files


@dataclass(frozen=True)
class RecipeFile:
    """A slipway.toml: its path from the repository's top, and its content."""

    path: str
    content: bytes


def nearest(files: Files, app: App) -> RecipeFile | None:
    """The file of the app's root directory, as its settings name it; else the one at the top."""
    for folder in dict.fromkeys((app.root_directory.strip("/"), "")):
        path = f"{folder}/{RECIPE_FILE}" if folder else RECIPE_FILE
        content = files.read(path)
        if content is not None:
            return RecipeFile(path, content)
    return None


def recipe_of(file: RecipeFile | None, app: App) -> BuildRecipe:
    """What the file says of the app's build. Raises `UserError` RECIPE_INVALID."""
    return build_part(file.content, app.slug, file=file.path) if file else BuildRecipe()


@dataclass(frozen=True)
class Lay:
    """Where an app lives in a commit, and the path rules that the commit itself has for it."""

    root: str
    paths: tuple[str, ...] = ()


def lay_of(files: Files, app: App) -> Lay:
    """Where the app lives: as its settings say, else its slipway.toml, else at the top.

    A file with a mistake says nothing here: the plan refuses it.
    """
    file = nearest(files, app)
    try:
        recipe = parse(file.content, app.slug, file=file.path) if file else None
    except UserError:
        recipe = None
    policy, build = (recipe.policy, recipe.build.build) if recipe else (Policy(), None)
    named = build.root_directory if build else None
    return Lay(
        "/".join(part for part in (app.root_directory or named or "").split("/") if part not in ("", ".")),
        policy.paths,
    )
