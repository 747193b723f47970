import json
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.domain.app import App
from bot.domain.ids import Sha
from bot.intake.paths import Scope, touches
from bot.settings import Settings
from jobs.git import Mirrors
from jobs.package_manifests import read_manifests
from jobs.scopes import digest_of, scope_in
from jobs.workspaces import scope_of
from tests.fakes.contexts import make_app
from tests.fakes.repository import Files, Repository
from tests.steady import steady


class Desk:
    """A real repository, its mirror, and what an app in one of its folders is made of."""

    def __init__(self, tmp_path: Path) -> None:
        self.repository = Repository(tmp_path / "origin.git")
        settings = Settings(home=tmp_path / "home")  # pyright: ignore[reportCallIssue]
        self.mirrors = Mirrors(settings, lambda _: None)
        self.app: App = make_app(self.repository.url)

    def commit(self, files: Files) -> Sha:
        sha = self.repository.commit(files)
        self.mirrors.fetch(self.app)
        return sha

    def scope(self, files: Files, root: str) -> Scope:
        return scope_in(self.mirrors, self.app, self.commit(files), root)

    def digest(self, root: str) -> str | None:
        head = self.mirrors.head(self.app, "main")
        assert head is not None
        return digest_of(self.mirrors, self.app, head, scope_in(self.mirrors, self.app, head, root))


@pytest.fixture
def desk(tmp_path: Path) -> Desk:
    return Desk(tmp_path)


def package(name: str, *needs: str, spec: str = "*", **more: Any) -> str:
    return json.dumps({"name": name, "dependencies": dict.fromkeys(needs, spec), **more})


def javascript(spec: str) -> Files:
    """A shop of two apps: web needs forms, which needs ui; api needs data."""
    return {
        "apps/web/package.json": package("web", "@shop/forms", "react", spec=spec),
        "apps/api/package.json": package("api", "@shop/data", spec=spec),
        "packages/forms/package.json": package("@shop/forms", "@shop/ui", spec=spec),
        "packages/ui/package.json": package("@shop/ui", spec=spec),
        "packages/data/package.json": package("@shop/data", spec=spec),
        "packages/ui/node_modules/x/package.json": package("x"),
        "README.md": "shop",
    }


def python() -> Files:
    def project(name: str, *needs: str, tool: str = "") -> str:
        return f'[project]\nname = "{name}"\nversion = "1"\ndependencies = {list(needs)}\n{tool}'

    linked = "[tool.uv.sources]\nShop_Forms = {workspace = true}\n"
    return {
        "pyproject.toml": """
            [tool.uv.workspace]
            members = ["apps/*", "packages/*"]
            exclude = ["packages/old"]
        """,
        "uv.lock": "",
        "apps/web/pyproject.toml": project("web", "Shop.Forms>=1", tool=linked),
        "apps/api/pyproject.toml": project("api", "shop-data[fast]"),
        "packages/forms/pyproject.toml": """
            project.name = "shop_forms"
            dependency-groups.dev = ["shop-ui"]
        """,
        "packages/ui/pyproject.toml": project("shop-ui"),
        "packages/data/pyproject.toml": project("shop-data"),
        "packages/old/pyproject.toml": project("shop-ui", "shop-data"),
    }


PNPM: Files = {
    "package.json": '{"private": true}',
    "pnpm-workspace.yaml": "packages:\n  - 'apps/*'\n  - \"packages/**\"\n  - '!**/fixtures/**'\n",
    "pnpm-lock.yaml": "lockfileVersion: '9.0'\n",
}
GLOBS = ["apps/*", "./packages/*"]
WORKSPACES: dict[str, Files] = {
    "pnpm": {**javascript("workspace:^"), **PNPM},
    "npm": {
        **javascript("*"),
        "package.json": json.dumps({"workspaces": GLOBS}),
        "package-lock.json": "{}",
    },
    "yarn": {
        **javascript("^1.0.0"),
        "package.json": json.dumps({"workspaces": {"packages": GLOBS, "nohoist": []}}),
        "yarn.lock": "",
    },
    "uv": python(),
}
MANIFEST = {"uv": "pyproject.toml"}


@pytest.mark.parametrize("kind", WORKSPACES)
def test_what_an_app_needs_is_found_through_others(desk: Desk, kind: str):
    files = WORKSPACES[kind]
    scope = desk.scope(files, "apps/web")
    assert dict(scope.needs) == {
        "packages/forms": "apps/web needs packages/forms",
        "packages/ui": "apps/web needs packages/ui through packages/forms",
    }
    assert (scope.workspace, scope.unsure) == ("", "")
    assert set(desk.scope(files, "apps/api").needs) == {"packages/data"}


@pytest.mark.parametrize("kind", WORKSPACES)
@pytest.mark.parametrize(
    ("changed", "deployed"),
    [
        ("apps/web/src/x", {"apps/web"}),
        ("packages/ui/x", {"apps/web"}),
        ("packages/data/x", {"apps/api"}),
        ("packages/unused/x", set[str]()),
        ("README.md", set[str]()),
        ("MANIFEST", {"apps/web", "apps/api"}),
        ("pnpm-lock.yaml", {"apps/web", "apps/api"}),
    ],
)
def test_a_change_deploys_the_apps_that_need_it(desk: Desk, kind: str, changed: str, deployed: set[str]):
    name = changed.replace("MANIFEST", MANIFEST.get(kind, "package.json"))
    files = WORKSPACES[kind]
    scopes = [desk.scope(files, root) for root in ("apps/web", "apps/api")]
    assert {scope.root for scope in scopes if touches([], scope, [name]).touches} == deployed


@pytest.mark.slow
@pytest.mark.parametrize("kind", WORKSPACES)
def test_a_release_is_made_anew_only_when_what_the_app_needs_changed(desk: Desk, kind: str):
    desk.commit(WORKSPACES[kind])
    first = desk.digest("apps/web")
    desk.commit({"packages/data/x": "2", "README.md": "2"})
    assert desk.digest("apps/web") == first
    digests = {first}
    for name in ("packages/ui/x", "apps/web/x", "uv.lock", "tsconfig.base.json", "patches/x.patch"):
        desk.commit({name: "changed"})
        digests.add(desk.digest("apps/web"))
    assert len(digests) == 6
    desk.commit({"packages/data/x": None, "README.md": "3"})
    assert desk.digest("apps/web") in digests


def scope(files: Mapping[str, str], root: str = "apps/web") -> Scope:
    return scope_of(root, read_manifests({path: text.encode() for path, text in files.items()}))


TOP = json.dumps({"workspaces": ["apps/*", "packages/*"]})


@pytest.mark.parametrize(
    ("web", "others", "needed"),
    [
        ({"dependencies": {"x": "file:../../lib"}}, {}, {"lib"}),
        ({"dependencies": {"x": "link:../../lib/"}}, {}, {"lib"}),
        ({"dependencies": {"x": "portal:../../../outside"}}, {}, set[str]()),
        ({"devDependencies": {"ui": "*"}}, {"packages/ui": "ui"}, {"packages/ui"}),
        ({"peerDependencies": {"ui": "*"}}, {"packages/ui": "ui"}, {"packages/ui"}),
        ({"dependencies": {"u": "workspace:@a/ui@*"}}, {"packages/ui": "@a/ui"}, {"packages/ui"}),
        ({"dependencies": {"ui": "*"}}, {"examples/ui": "ui"}, set[str]()),
        ({"dependencies": ["ui"], "name": 5}, {"packages/ui": "ui"}, set[str]()),
    ],
)
def test_each_way_to_name_a_package_is_understood(
    web: dict[str, Any], others: dict[str, str], needed: set[str]
):
    files = {f"{folder}/package.json": package(name) for folder, name in others.items()}
    found = scope({"package.json": TOP, "apps/web/package.json": json.dumps(web), **files})
    assert set(found.needs) == needed


def test_names_of_folders_are_only_text():
    files = {
        "package.json": TOP,
        "apps/{web}/package.json": package("web", "a"),
        "packages/{0}\n\udcff/package.json": package("a"),
    }
    found = scope(files, "apps/{web}")
    assert list(found.needs.values()) == ["apps/{web} needs packages/{0}\ufffd\ufffd"]


def test_packages_that_need_each_other_end():
    files = {
        "package.json": TOP,
        "apps/web/package.json": package("web", "a"),
        "packages/a/package.json": package("a", "b"),
        "packages/b/package.json": package("b", "a", "web"),
    }
    assert set(scope(files).needs) == {"packages/a", "packages/b"}


def test_what_the_top_asks_for_is_there_for_all():
    top = json.dumps({"workspaces": ["apps/*", "packages/*"], "devDependencies": {"config": "*"}})
    files = {
        "package.json": top,
        "apps/web/package.json": package("web"),
        "packages/config/package.json": package("config"),
    }
    assert scope(files).needs == {
        "packages/config": "the workspace that apps/web is in needs packages/config"
    }


def test_a_folder_inside_of_a_package_is_that_packages():
    files = {
        "package.json": TOP,
        "apps/web/package.json": package("web", "ui"),
        "packages/ui/package.json": package("ui"),
    }
    assert set(scope(files, "apps/web/site").needs) == {"packages/ui"}


def test_an_app_outside_of_every_workspace_needs_nothing():
    files = {
        "package.json": TOP,
        "site/package.json": package("site", "ui"),
        "packages/ui/package.json": package("ui"),
    }
    assert scope(files, "site") == Scope("site")


@pytest.mark.parametrize(
    ("path", "root", "unsure"),
    [
        ("apps/web/package.json", "apps/web", True),
        ("packages/ui/package.json", "apps/web", True),
        ("package.json", "apps/web", True),
        ("fixtures/broken/package.json", "apps/web", False),
    ],
)
def test_what_can_not_be_read_makes_everything_count_where_it_matters(path: str, root: str, *, unsure: bool):
    files = {"package.json": TOP, "apps/web/package.json": package("web"), path: "{"}
    assert bool(scope(files, root).unsure) is unsure


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("pnpm-workspace.yaml", "[" * 15_000),
        ("pnpm-workspace.yaml", "- " * 7_500),
        ("pnpm-workspace.yaml", "&a [*a]"),
        ("pnpm-workspace.yaml", "x" * 33_000),
        ("package.json", "[" * 1_000_000),
        ("pyproject.toml", ".".join(["a"] * 50_000) + " = 1"),
        ("pyproject.toml", "x = " + "[" * 50_000),
        ("pyproject.toml", "x = " + "9" * 50_000),
    ],
)
def test_a_manifest_that_is_made_to_harm_is_not_read(name: str, text: str):
    started = time.thread_time()
    found = read_manifests({f"web/{name}": text.encode()})
    assert scope_of("web", found).unsure == f"web/{name} can't be read, so what web needs is not known"
    assert time.thread_time() - started < 5


def test_a_repository_with_large_manifests_is_not_read(desk: Desk):
    found = desk.scope({"web/package.json": "{}", "big/package.json": " " * (1024 * 1024 + 1)}, "web")
    assert "big/package.json is too large" in found.unsure


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=8,
)
keys = st.sampled_from(["name", "workspaces", "dependencies", "packages", "a", "b"])
texts = (
    st.binary(max_size=40)
    | st.dictionaries(keys, json_values | st.dictionaries(keys, st.text(max_size=9)))
    .map(json.dumps)
    .map(str.encode)
    | st.sampled_from(
        [b"packages: [a, '!b']", b"&a [*a]", b"[tool.uv.workspace]\nmembers=['*']\n", b"a: &x\n <<: *x"]
    )
)
paths = st.sampled_from(
    [
        f"{folder}{name}"
        for folder in ("", "a/", "a/b/")
        for name in ("package.json", "pnpm-workspace.yaml", "pyproject.toml")
    ]
)


@steady
@given(contents=st.dictionaries(paths, texts), root=st.sampled_from(["a", "a/b", "c"]))
def test_any_manifests_give_a_scope(contents: dict[str, bytes], root: str):
    assert scope_of(root, read_manifests(contents)).root == root
