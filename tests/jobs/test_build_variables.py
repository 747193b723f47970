"""What a build is given of its environment's variables, what is kept from it, and what it leaves."""

import json
import shutil
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from bot.domain.ids import Digest, Sha
from bot.errors import ErrorCode, UserError
from bot.settings import Settings
from bot.variables import NOTHING, Given
from jobs.sandbox.choose import choose
from jobs.secrecy import keep_out
from jobs.steps import build, package
from jobs.steps.context import Context, Plan, Source
from tests.fakes.contexts import make_app, make_context, make_environment
from tests.fakes.log import CollectedLog
from tests.packing import Bench, plan

TOKEN = "tok3n-of-some-length"


def given(withheld: tuple[str, ...] = (), /, **values: str) -> Given:
    secrets = frozenset(name for name in values if "TOKEN" in name)
    return Given(values, secrets, {name: f"mark of {value}" for name, value in values.items()}, withheld)


@dataclass
class Yard:
    home: Path
    sandbox: str
    attempts: int = 0

    def run(self, variables: Given, *command: str, environment: str = "production", **more: object) -> Path:
        self.attempts += 1
        tree = self.home / "kept"
        tree.mkdir(exist_ok=True)
        self.log = CollectedLog()
        whole = replace(Plan("", (), "npm", (), command, "dist", (), False, Digest("k")), **more)  # type: ignore[arg-type]
        context = self.context(variables, environment)
        return build.run(context, Source(tree, tree, "d"), whole, choose(context.settings))

    def context(self, variables: Given, environment: str) -> Context:
        place = make_environment(environment)
        made = make_context(self.home, make_app(""), Sha("c" * 40), log=self.log, environment=place)
        workspace = self.home / f"attempt-{self.attempts}"
        workspace.mkdir()
        options = {"home": self.home, "sandbox": self.sandbox}
        settings = Settings.model_validate(options)
        return replace(made, variables=variables, workspace=workspace, settings=settings)


@pytest.fixture(params=["auto", "none"])
def yard(request: pytest.FixtureRequest, tmp_path: Path) -> Yard:
    return Yard(tmp_path, request.param)


def told(output: Path) -> dict[str, str]:
    return json.loads((output / "env.json").read_text())


SCRIPT = 'import json, os; json.dump(dict(os.environ), open("dist/env.json", "w"))'
DUMP = ("sh", "-c", f"mkdir dist && python3 -c '{SCRIPT}'")


def test_values_reach_a_build_to_the_letter_and_may_replace_defaults_but_nothing_of_ours(yard: Yard):
    values = {
        "CI": "false",
        "NODE_ENV": "development",
        "LINES": 'a\n"b"\t$HOME `c` \U0001f6a2',
        "EMPTY": "",
        "LARGE": "x" * (64 * 1024),
        "SLIPWAY_COMMIT": "forged",
    }
    found = told(yard.run(given(**values), *DUMP))
    assert {name: found[name] for name in values} == {**values, "SLIPWAY_COMMIT": "c" * 40}
    assert "variables: CI, EMPTY, LARGE, LINES, NODE_ENV, SLIPWAY_COMMIT" in yard.log.said


def test_a_full_scope_fits_into_a_build(yard: Yard):
    many = {f"NAME_{number}": "y" * 1000 for number in range(1000)}
    assert len(told(yard.run(given(**many), *DUMP))) > 1000


def test_what_is_withheld_is_named_and_not_given(yard: Yard):
    found = told(yard.run(given(("A_TOKEN", "B")), *DUMP))
    assert not {"A_TOKEN", "B"} & set(found)
    assert "variables withheld from the code of a fork: A_TOKEN, B" in yard.log.said


@pytest.mark.skipif(shutil.which("npm") is None, reason="needs npm")
def test_what_an_install_made_of_other_values_is_not_found_again(tmp_path: Path):
    yard = Yard(tmp_path, "auto")
    kept = tmp_path / "kept"
    kept.mkdir()
    script = (
        'const fs = require("fs"); fs.mkdirSync("node_modules", {recursive: true});'
        'fs.writeFileSync("node_modules/seen", process.env.A_TOKEN || "none")'
    )
    package_json = {"name": "site", "version": "1.0.0", "scripts": {"postinstall": "node keep.js"}}
    lock = {"name": "site", "version": "1.0.0", "lockfileVersion": 3, "packages": {"": {"name": "site"}}}
    (kept / "keep.js").write_text(script)
    (kept / "package.json").write_text(json.dumps(package_json))
    (kept / "package-lock.json").write_text(json.dumps(lock))
    show = ("sh", "-c", "mkdir dist && cp node_modules/seen dist/")
    more = {"install": ("npm", "ci"), "lock_files": ("package-lock.json",)}

    def restored(variables: Given, environment: str) -> bool:
        yard.run(variables, *show, environment=environment, **more)
        return any("restored from the cache" in line for line in yard.log.said)

    assert not restored(given(A_TOKEN=TOKEN), "production")
    assert not restored(NOTHING, "preview/pr-1")
    assert restored(given(A_TOKEN=TOKEN), "preview/pr-2")


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    made = Bench(tmp_path)
    made.output.mkdir(parents=True)
    (made.output / "index.html").write_text("hello")
    return made


def pack(bench: Bench, variables: Given, *, command: tuple[str, ...] = ("make",)) -> package.Packed:
    context = replace(bench.context(), variables=variables)
    return package.run(context, bench.output, plan(build=command), bench.store)


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("app.js", f"const token='{TOKEN}'"),
        ("deep/down/app.js.map", json.dumps({"token": TOKEN})),
        (f"{TOKEN}.txt", ""),
        ("binary.bin", "\0\1" * 1000 + TOKEN),
    ],
)
def test_a_secret_in_clear_text_is_found_and_nothing_is_stored(bench: Bench, name: str, content: str):
    path = bench.output / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(content)
    with pytest.raises(UserError) as caught:
        pack(bench, given(A_TOKEN=TOKEN, B=TOKEN))
    assert caught.value.code is ErrorCode.SECRET_PUBLISHED
    assert (caught.value.facts["name"], caught.value.facts["app"]) == ("A_TOKEN", "shop")
    assert not [one for one in bench.artifacts.rglob("*") if one.is_file()]


def test_keys_of_several_lines_are_found_as_programs_write_them(bench: Bench):
    key = "-----BEGIN-----\nabc/def\n-----END-----"
    (bench.output / "a.js").write_text(f"const key = {json.dumps(key)}")
    with pytest.raises(UserError):
        pack(bench, given(A_TOKEN=key + "\n"))


def test_plain_values_short_secrets_and_files_that_nothing_built_are_published(bench: Bench):
    (bench.output / "a.js").write_text(f"{TOKEN} short-on production")
    pack(bench, given(A=TOKEN))
    pack(bench, given(A_TOKEN=TOKEN), command=())
    assert "warning" not in bench.said()
    pack(bench, given(A_TOKEN="short-on", B_TOKEN="prod"))
    assert "warning: the secret A_TOKEN stands in a.js" in bench.said()
    assert "B_TOKEN" not in bench.said()


def test_no_error_tells_a_secret():
    error = UserError(ErrorCode.FILE_TOO_LARGE, path=f"dist/{TOKEN}.js", size=5, limit=4)
    keep_out(error, [TOKEN])
    assert error.facts == {"path": "dist/[REDACTED].js", "size": 5, "limit": 4}
    assert TOKEN not in str(error) + repr(error)
