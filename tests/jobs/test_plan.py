import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from bot.domain.environment import Environment
from bot.domain.ids import Sha
from bot.errors import ErrorCode, UserError
from jobs.steps import plan
from jobs.steps.context import Plan, Source
from tests.fakes.contexts import make_app, make_context, make_environment
from tests.fakes.log import CollectedLog

VITE = json.dumps({"devDependencies": {"vite": "^5"}, "scripts": {"build": "vite build"}})


class Desk:
    def __init__(self, tmp_path: Path) -> None:
        self.home = tmp_path / "home"
        self.tree = tmp_path / "tree"
        self.tree.mkdir()
        self.app = make_app("file:///x")
        self.log = CollectedLog()

    def plan(
        self,
        files: dict[str, str],
        digest: str = "d1",
        environment: Environment | None = None,
        root: str = "",
    ) -> Plan:
        for name, content in files.items():
            path = self.tree / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(content)
        app = replace(self.app, root_directory=root)
        context = make_context(
            self.home, app, Sha("a" * 40), log=self.log, environment=environment or make_environment()
        )
        return plan.run(context, Source(self.tree, self.tree / root, digest), self._mentions)

    def _mentions(self, words: Sequence[str]) -> bool:
        texts = [file.read_text() for file in self.tree.rglob("*") if file.is_file()]
        return any(word in text for word in words for text in texts)

    def refused(self, files: dict[str, str]) -> UserError:
        with pytest.raises(UserError) as caught:
            self.plan(files)
        return caught.value


@pytest.fixture
def desk(tmp_path: Path) -> Desk:
    return Desk(tmp_path)


def program(folder: Path, name: str, says: str) -> None:
    folder.mkdir(exist_ok=True)
    (folder / name).write_text(f"#!/bin/sh\necho {says}\n")
    (folder / name).chmod(0o755)


@pytest.fixture
def programs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "programs"
    for name in ("node", "npm", "bun"):
        program(folder, name, f"{name} 1")
    monkeypatch.setenv("PATH", f"{folder}:/usr/bin:/bin")
    return folder


def test_plain_files_are_published_as_they_are(desk: Desk):
    found = desk.plan({"index.html": "hi"})
    assert (found.framework, found.install, found.build, found.output) == ("plain HTML", (), (), ".")
    assert (found.package_manager, found.lock_files, found.spa) == (None, (), False)
    assert "plain HTML: index.html is there" in desk.log.said
    assert "build: nothing to run" in desk.log.said


@pytest.mark.usefixtures("programs")
def test_a_vite_site_is_built_by_its_own_script(desk: Desk):
    found = desk.plan({"package.json": VITE, "package-lock.json": "{}"})
    assert (found.install, found.build) == (("npm", "ci"), ("npm", "run", "build"))
    assert (found.output, found.alternatives, found.lock_files) == ("dist", (), ("package-lock.json",))
    assert desk.log.said == [
        "Vite: package.json depends on vite ^5",
        "install: npm ci (npm, because package-lock.json is there)",
        "build: npm run build (detected)",
        "output: dist (detected)",
        "node node 1, npm npm 1",
    ]


def test_a_tool_that_came_as_a_package_is_told_with_its_version(desk: Desk, programs: Path, tmp_path: Path):
    package = tmp_path / "npm"
    package.mkdir()
    (package / "package.json").write_text('{"name": "npm", "version": "11.2.3"}')
    (package / "npm-cli.js").touch(mode=0o755)
    (programs / "npm").unlink()
    (programs / "npm").symlink_to(package / "npm-cli.js")
    desk.plan({"package.json": VITE, "package-lock.json": "{}"})
    assert "node node 1, npm 11.2.3" in desk.log.said


@pytest.mark.usefixtures("programs")
def test_a_missing_lock_file_is_warned_about(desk: Desk):
    found = desk.plan({"package.json": VITE})
    assert (found.install, found.lock_files) == (("npm", "install"), ())
    assert "warning: there is no lock file" in desk.log.text


@pytest.mark.usefixtures("programs")
def test_settings_win_over_the_file_and_the_file_over_detection(desk: Desk):
    recipe = '[build]\ncommand = "make"\ninstall = "true"\noutput = "www"\n[site]\nspa = true\n'
    files = {"package.json": VITE, "package-lock.json": "{}", "slipway.toml": recipe}
    found = desk.plan(files)
    assert (found.install, found.build) == (("sh", "-c", "true"), ("sh", "-c", "make"))
    assert (found.output, found.spa) == ("www", True)
    assert "build: make (slipway.toml)" in desk.log.said
    desk.app = replace(desk.app, build_command="npm run all", output_directory="here")
    found = desk.plan(files)
    assert (found.build, found.output) == (("sh", "-c", "npm run all"), "here")
    assert "build: npm run all (the app's settings)" in desk.log.said
    assert "output: here (the app's settings)" in desk.log.said


@pytest.mark.usefixtures("programs")
def test_an_empty_command_builds_nothing(desk: Desk):
    desk.app = replace(desk.app, build_command="")
    found = desk.plan({"package.json": VITE, "package-lock.json": "{}"})
    assert (found.framework, found.install, found.build, found.output) == ("plain files", (), (), ".")


def test_an_output_directory_alone_is_enough(desk: Desk):
    desk.app = replace(desk.app, output_directory="www")
    found = desk.plan({"www/page.html": "hi"})
    assert (found.build, found.output) == ((), "www")


@pytest.mark.usefixtures("programs")
def test_an_own_command_alone_leaves_the_output_to_be_found(desk: Desk):
    found = desk.plan({"slipway.toml": '[build]\ncommand = "make"\n'})
    assert (found.output, found.alternatives) == ("dist", ("build", "out", "public", "_site"))
    assert found.install == ()


def test_the_nearest_recipe_counts(desk: Desk):
    files = {
        "slipway.toml": '[build]\ncommand = "top"\noutput = "o"',
        "web/slipway.toml": '[build]\ncommand = "web"\noutput = "o"',
        "api/x": "",
    }
    assert desk.plan(files, root="web").build[-1] == "web"
    assert desk.plan(files, root="api").build[-1] == "top"
    assert "build: web (web/slipway.toml)" in desk.log.said


def test_nothing_to_publish_is_told_with_what_was_seen(desk: Desk):
    error = desk.refused({"README.md": "x", "main.c": "x"})
    assert error.code is ErrorCode.NOTHING_DETECTED
    assert error.facts["seen"] == "README.md, main.c"
    assert "Vite, Hugo" in str(error.facts["looked_for"])


@pytest.mark.parametrize(
    ("files", "file", "line"),
    [
        ({"slipway.toml": "[build]\nx = 1", "index.html": ""}, "slipway.toml", 2),
        ({"package.json": "{\n,}"}, "package.json", 2),
        ({"package.json": "[]"}, "package.json", 0),
    ],
)
def test_a_broken_file_is_told_by_name(desk: Desk, files: dict[str, str], file: str, line: int):
    error = desk.refused(files)
    assert error.code is ErrorCode.RECIPE_INVALID
    assert (error.facts["file"], error.facts["line"]) == (file, line)


def test_a_tool_that_is_missing_is_told(desk: Desk, programs: Path):
    error = desk.refused({"hugo.toml": "x", "content/a.md": "x"})
    assert (error.code, error.facts["tool"]) == (ErrorCode.TOOL_MISSING, "hugo")
    error = desk.refused({"hugo.toml": "x", "package.json": VITE, "pnpm-lock.yaml": ""})
    assert (error.facts["tool"], error.facts["why"]) == ("pnpm", "pnpm-lock.yaml is there")
    program(programs, "pnpm", "9")
    assert desk.plan({}).package_manager == "pnpm"


def test_what_a_link_points_at_is_not_the_repositorys(desk: Desk, tmp_path: Path):
    (tmp_path / "secret").write_text('[build]\ncommand = "x"\n')
    (desk.tree / "slipway.toml").symlink_to(tmp_path / "secret")
    assert desk.plan({"index.html": ""}).build == ()


def test_the_key_holds_everything_that_decides_the_result(desk: Desk, programs: Path):
    files = {"package.json": VITE, "package-lock.json": "{}"}
    staging = make_environment("staging", "staging-shop.localhost")
    keys: dict[str, Any] = {
        "first": desk.plan(files).key,
        "tree": desk.plan(files, "d2").key,
    }
    assert desk.plan(files, environment=staging).key == keys["first"]
    program(programs, "node", "node 2")
    keys["tool"] = desk.plan(files).key
    desk.app = replace(desk.app, build_command="make")
    keys["command"] = desk.plan(files).key
    desk.app = replace(desk.app, output_directory="www")
    keys["output"] = desk.plan(files).key
    assert len(set(keys.values())) == len(keys)
    assert desk.plan(files).key == keys["output"]


@pytest.mark.usefixtures("programs")
def test_a_build_that_asks_for_its_place_is_made_for_each(desk: Desk):
    files = {"package.json": VITE, "package-lock.json": "{}", "vite.config.js": "process.env.SLIPWAY_URL"}
    staging = make_environment("staging", "staging-shop.localhost")
    here, there = desk.plan(files), desk.plan(files, environment=staging)
    assert here.tells_place
    assert here.key != there.key
    desk.app = replace(desk.app, build_command="build --to $SLIPWAY_ENVIRONMENT")
    (desk.tree / "vite.config.js").unlink()
    del files["vite.config.js"]
    assert desk.plan(files).tells_place


def test_files_that_are_published_as_they_are_have_one_key_everywhere(desk: Desk):
    files = {"index.html": "hi"}
    staging = make_environment("staging", "staging-shop.localhost")
    assert desk.plan(files).key == desk.plan(files, environment=staging).key
