"""The build step on real repositories' files: install, cache, build, output, and every way to fail."""

import json
import shutil
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path

import pytest

from bot.domain.app import App
from bot.domain.deployment import Deployment, Kind, Phase, State, Trigger
from bot.domain.environment import Environment, EnvironmentKind
from bot.domain.ids import AppId, DeploymentId, Digest, EnvironmentId, ProjectId, Sha, TenantId
from bot.errors import ErrorCode, UserError
from bot.settings import Settings
from jobs.sandbox.box import Sandbox
from jobs.sandbox.choose import choose
from jobs.steps import build
from jobs.steps.context import Context, Plan, Source
from jobs.stopping import StoppedError
from tests.fakes.log import CollectedLog

pytestmark = pytest.mark.slow

NOW = datetime(2026, 1, 1, tzinfo=UTC)


IN_THE_BEST_BOX = pytest.mark.parametrize("yard", ["auto"], indirect=True)


@dataclass
class Yard:
    """A repository's files and attempts at building them."""

    path: Path
    sandbox: Sandbox
    settings: Settings
    kind: EnvironmentKind = EnvironmentKind.PRODUCTION
    log: CollectedLog = field(default_factory=CollectedLog)
    ran: list[tuple[str, int]] = field(default_factory=list[tuple[str, int]])
    attempts: int = 0
    stopped: Callable[[], bool] = lambda: False
    clean: bool = False

    def write(self, name: str, text: str) -> None:
        file = self.path / "kept" / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)

    def run(self, *command: str, root: str = ".", **plan: object) -> Path:
        """Build with a command; the output directory."""
        self.attempts += 1
        workspace = self.path / f"attempt-{self.attempts}"
        workspace.mkdir()
        self.log, self.ran = CollectedLog(), []
        tree = self.path / "kept"
        whole = replace(Plan("", (), "npm", (), command, "dist", (), False, Digest("k")), **plan)  # type: ignore[arg-type]
        return build.run(self._context(workspace), Source(tree, tree / root, "d"), whole, self.sandbox)

    def _context(self, workspace: Path) -> Context:
        name = "production" if self.kind is EnvironmentKind.PRODUCTION else "preview/pr-1"
        return Context(
            app=App(
                AppId(3), TenantId(1), ProjectId(1), "shop", "o/shop", None, "", None, "main", "", None, None,
                True, NOW,
            ),
            environment=Environment(
                EnvironmentId(1), AppId(3), name, self.kind, "main", "shop.localhost", None, None, 0, False,
                None, None, 1, None,
            ),
            deployment=Deployment(
                DeploymentId(self.attempts), AppId(3), EnvironmentId(1), Kind.BUILD, Trigger.PUSH,
                State.RUNNING, Phase.BUILD, Sha("c" * 40), "main", "", "", "", "", None, None,
                None, None, 1, 0, 1, 0, False,
                NOW, NOW, None, clean=self.clean,
            ),
            settings=self.settings,
            log=self.log,
            workspace=workspace,
            stopped=self.stopped,
            ran=lambda _, command, code: self.ran.append((command, code)),
        )  # fmt: skip


@pytest.fixture(params=["auto", "none"])
def yard(request: pytest.FixtureRequest, tmp_path: Path) -> Yard:
    options = {"sandbox": request.param, "build_timeout": 30, "build_memory": 1024}
    settings = Settings.model_validate({"home": tmp_path / "home", **options})
    (tmp_path / "kept").mkdir()
    return Yard(tmp_path, choose(settings), settings)


def shell(script: str) -> tuple[str, ...]:
    return ("sh", "-c", script)


def failure(run: Callable[[], object]) -> UserError:
    with pytest.raises(UserError) as raised:
        run()
    return raised.value


def test_plain_files_are_not_copied(yard: Yard):
    yard.write("site/index.html", "hi")
    assert yard.run(root="site", output=".") == yard.path / "kept" / "site"
    assert yard.log.said == []


def test_a_command_builds_in_a_copy_of_the_kept_tree(yard: Yard):
    yard.write("web/page.txt", "hello")
    script = "mkdir dist && cp page.txt dist/ && echo changed > page.txt && pwd"
    output = yard.run(*shell(script), root="web")
    assert (output / "page.txt").read_text() == "hello"
    assert (yard.path / "kept/web/page.txt").read_text() == "hello"
    assert output == yard.path / "attempt-1/tree/web/dist"
    assert yard.ran == [(script, 0)]
    assert f"$ {script}" in yard.log.said
    assert any(line.startswith("exit code 0 after") for line in yard.log.said)


def test_a_build_is_told_about_itself_and_nothing_else(yard: Yard, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("SLIPWAY_GITHUB_TOKEN", "secret")
    output = yard.run(*shell("mkdir dist && env > dist/env && echo > $HOME/file"))
    told = dict(line.split("=", 1) for line in (output / "env").read_text().splitlines())
    assert told["SLIPWAY_URL"] == "http://shop.localhost:8080"
    assert (told["CI"], told["NODE_ENV"], told["SLIPWAY_COMMIT"]) == ("1", "production", "c" * 40)
    known = {
        "CI",
        "NODE_COMPILE_CACHE",
        "NODE_ENV",
        "NODE_EXTRA_CA_CERTS",
        "PATH",
        "HOME",
        "PWD",
        "OLDPWD",
        "LC_CTYPE",
        "_",
        "SHLVL",
    }
    assert {name for name in told if not name.startswith("SLIPWAY")} <= known
    assert "secret" not in (output / "env").read_text()


@IN_THE_BEST_BOX
def test_what_node_compiles_is_kept_for_builds_of_the_same_kind(yard: Yard):
    leave = shell(
        "mkdir dist && ls $NODE_COMPILE_CACHE > dist/found; echo > $NODE_COMPILE_CACHE/$SLIPWAY_COMMIT"
    )
    assert (yard.run(*leave) / "found").read_text() == ""
    assert (yard.run(*leave) / "found").read_text() == "c" * 40 + "\n"
    yard.kind = EnvironmentKind.PREVIEW
    assert (yard.run(*leave) / "found").read_text() == ""


@pytest.mark.parametrize(("manager", "told"), [("pnpm", True), ("npm", False)])
def test_an_install_is_told_only_what_its_package_manager_knows(yard: Yard, manager: str, *, told: bool):
    install = shell("mkdir dist && env > dist/env")
    output = yard.run("true", install=install, package_manager=manager)
    assert ("npm_config_store_dir" in (output / "env").read_text()) is told


def test_a_failed_build_tells_its_command_and_code(yard: Yard):
    error = failure(lambda: yard.run(*shell("echo broken >&2; exit 7")))
    assert (error.code, error.facts["exit_code"]) == (ErrorCode.BUILD_FAILED, 7)
    assert yard.log.printed == b"broken\n"
    assert yard.ran[0][1] == 7


def test_a_failed_install_is_not_a_failed_build(yard: Yard):
    error = failure(lambda: yard.run("true", install=shell("exit 2")))
    assert (error.code, error.facts["command"]) == (ErrorCode.INSTALL_FAILED, "exit 2")


def test_too_long_and_too_big(yard: Yard):
    yard.settings = yard.settings.model_copy(update={"build_timeout": 1})
    assert failure(lambda: yard.run(*shell("sleep 60"))).facts == {"command": "sleep 60", "limit": 1}
    yard.settings = yard.settings.model_copy(update={"build_timeout": 30, "build_memory": 64})
    hog = "python3 -c 'x = bytearray(10**9)'"
    if yard.sandbox.name == "bubblewrap" and yard.sandbox.warning is None:
        assert failure(lambda: yard.run(*shell(hog))).code is ErrorCode.BUILD_OUT_OF_MEMORY


def test_a_stopped_build_raises(yard: Yard):
    yard.stopped = lambda: bool(yard.log.printed)
    with pytest.raises(StoppedError):
        yard.run(*shell("echo up; sleep 60"))


def test_a_missing_tool_is_named(yard: Yard, monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    # A PATH without the tool, but with what Slipway itself needs.
    tools = tmp_path / "bin"
    tools.mkdir()
    for name in ("cp", "chown"):
        found = shutil.which(name)
        assert found is not None
        (tools / name).symlink_to(found)
    monkeypatch.setenv("PATH", str(tools))
    error = failure(lambda: yard.run("pnpm", "run", "build"))
    assert (error.code, error.facts["tool"]) == (ErrorCode.TOOL_MISSING, "pnpm")


@pytest.mark.parametrize("script", ["true", "echo > dist", "ln -s /etc dist", "ln -s ../../home dist"])
def test_an_output_that_is_not_a_folder_of_the_tree_is_refused(yard: Yard, script: str):
    error = failure(lambda: yard.run(*shell(script)))
    assert (error.code, error.facts) == (ErrorCode.OUTPUT_MISSING, {"directory": "dist"})


def test_the_first_alternative_that_is_there_is_the_output(yard: Yard):
    output = yard.run(*shell("mkdir out build"), alternatives=("out", "build"))
    assert output.name == "out"


PACKAGE = {
    "name": "site",
    "version": "1.0.0",
    "scripts": {"build": "node build.mjs"},
    "dependencies": {"left": "file:left"},
}
LOCK = {
    "name": "site",
    "version": "1.0.0",
    "lockfileVersion": 3,
    "requires": True,
    "packages": {
        "": {"name": "site", "version": "1.0.0", "dependencies": {"left": "file:left"}},
        "left": {"version": "1.0.0"},
        "node_modules/left": {"resolved": "left", "link": True},
    },
}
BUILD = """
import left from 'left'
import fs from 'node:fs'
fs.mkdirSync('dist')
fs.writeFileSync('dist/a', left)
"""


def npm_project(yard: Yard, **scripts: str) -> None:
    package = {**PACKAGE, "scripts": {"build": "node build.mjs", **scripts}}
    yard.write("package.json", json.dumps(package))
    yard.write("package-lock.json", json.dumps(LOCK))
    yard.write("left/package.json", json.dumps({"name": "left", "version": "1.0.0", "main": "index.js"}))
    yard.write("left/index.js", "module.exports = 'from left'")
    yard.write("build.mjs", BUILD)


def npm_run(yard: Yard) -> Path:
    return yard.run("npm", "run", "build", install=("npm", "ci"), lock_files=("package-lock.json",))


def test_an_npm_project_installs_once_and_then_comes_from_the_cache(yard: Yard):
    npm_project(yard)
    assert (npm_run(yard) / "a").read_text() == "from left"
    assert [command for command, _ in yard.ran] == ["npm ci", "npm run build"]
    assert (npm_run(yard) / "a").read_text() == "from left"
    assert [command for command, _ in yard.ran] == ["npm run build"]
    assert any("dependencies restored from the cache" in line for line in yard.log.said)


def test_a_clean_build_uses_nothing_that_was_left_and_mends_it_for_the_next(yard: Yard):
    npm_project(yard)
    npm_run(yard)
    [kept] = yard.settings.home.glob("caches/3/*/*/node_modules")
    (kept / "broken").write_text("by whatever")
    yard.clean = True
    npm_run(yard)
    assert [command for command, _ in yard.ran] == ["npm ci", "npm run build"]
    assert [path.name for path in yard.settings.home.glob("caches/3/*/*/node_modules/broken")] == []
    yard.clean = False
    npm_run(yard)
    assert [command for command, _ in yard.ran] == ["npm run build"]


@IN_THE_BEST_BOX
def test_a_repository_s_own_install_scripts_run_also_when_the_cache_is_hit(yard: Yard):
    npm_project(yard, postinstall="echo ran-postinstall")
    npm_run(yard)
    npm_run(yard)
    assert [command for command, _ in yard.ran] == ["npm run postinstall", "npm run build"]
    assert b"ran-postinstall" in yard.log.printed


@IN_THE_BEST_BOX
def test_what_a_preview_installed_production_does_not_use(yard: Yard):
    npm_project(yard)
    yard.kind = EnvironmentKind.PREVIEW
    npm_run(yard)
    yard.kind = EnvironmentKind.PRODUCTION
    npm_run(yard)
    assert yard.ran[0][0] == "npm ci"
