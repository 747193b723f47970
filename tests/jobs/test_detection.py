import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jobs.detection import detect
from jobs.managers import NPM, choose_manager
from jobs.snapshot import Snapshot, parse_package
from tests.steady import steady


def snapshot(*names: str, package: dict[str, Any] | None = None, **texts: str) -> Snapshot:
    found = parse_package(json.dumps(package).encode()) if package is not None else None
    named = {name.replace("__", "."): text for name, text in texts.items()}
    extra = {"package.json"} if package is not None else set[str]()
    return Snapshot(frozenset({*names, *named} | extra), found, named)


def depends(name: str, *scripts: str) -> dict[str, Any]:
    return {"devDependencies": {name: "^1"}, "scripts": dict.fromkeys(scripts, "x")}


@pytest.mark.parametrize(
    ("seen", "framework", "build", "output"),
    [
        (snapshot(package=depends("vite", "build")), "Vite", "npm run build", "dist"),
        (snapshot(package=depends("vite")), "Vite", "npx --no-install vite build", "dist"),
        (snapshot(package=depends("astro", "build")), "Astro", "npm run build", "dist"),
        (snapshot(package=depends("@11ty/eleventy")), "Eleventy", "npx --no-install eleventy", "_site"),
        (snapshot(package=depends("gatsby", "build")), "Gatsby", "npm run build", "public"),
        (snapshot(package=depends("react-scripts", "build")), "Create React App", "npm run build", "build"),
        (snapshot(package=depends("@docusaurus/core", "build")), "Docusaurus", "npm run build", "build"),
        (
            snapshot("docs/.vitepress", package=depends("vitepress", "docs:build")),
            "VitePress",
            "npm run docs:build",
            "docs/.vitepress/dist",
        ),
        (
            snapshot(package=depends("vitepress")),
            "VitePress",
            "npx --no-install vitepress build",
            ".vitepress/dist",
        ),
        (
            snapshot(package=depends("@sveltejs/adapter-static", "build")),
            "SvelteKit, static",
            "npm run build",
            "build",
        ),
        (
            snapshot(package=depends("nuxt", "build", "generate")),
            "Nuxt, generated",
            "npm run generate",
            ".output/public",
        ),
        (
            snapshot(package=depends("@angular/core", "build"), angular__json='{"projects": {"web": {}}}'),
            "Angular",
            "npm run build",
            "dist/web/browser",
        ),
        (
            snapshot(package=depends("next", "build"), next__config__js="x = {output: 'export'}"),
            "Next.js export",
            "npm run build",
            "out",
        ),
        (snapshot("hugo.toml"), "Hugo", "hugo --minify", "public"),
        (snapshot("config.toml", "content"), "Hugo", "hugo --minify", "public"),
        (snapshot("_config.yml", "Gemfile"), "Jekyll", "bundle exec jekyll build", "_site"),
        (snapshot("mkdocs.yml"), "MkDocs", "mkdocs build", "site"),
        (snapshot("index.html", package=depends("x", "build")), "build script", "npm run build", "dist"),
        (snapshot("index.html", "package.json", package={}), "plain HTML", "", "."),
        (snapshot("index.html"), "plain HTML", "", "."),
        (snapshot("public/index.html", "public"), "plain HTML", "", "public"),
    ],
)
def test_the_table_recognises_what_it_names(seen: Snapshot, framework: str, build: str, output: str):
    found = detect(seen, NPM if seen.package else None)
    assert found is not None
    assert (found.framework, " ".join(found.build), found.outputs[0]) == (framework, build, output)
    assert found.evidence


@pytest.mark.parametrize(
    "seen",
    [
        snapshot(),
        snapshot("README.md", "src", "config.toml", "_config.yml"),
        snapshot(package={"scripts": {"start": "x"}}),
        snapshot(package={"dependencies": ["vite"], "scripts": "build"}),
    ],
)
def test_nothing_is_made_up(seen: Snapshot):
    assert detect(seen, NPM if seen.package else None) is None


@pytest.mark.parametrize(
    ("names", "asks", "expected"),
    [
        (["package-lock.json"], None, "npm ci"),
        (["pnpm-lock.yaml"], None, "pnpm install --frozen-lockfile"),
        (["yarn.lock"], None, "yarn install --frozen-lockfile"),
        (["yarn.lock", ".yarnrc.yml"], None, "yarn install --immutable"),
        (["yarn.lock"], "yarn@4.1.0", "yarn install --immutable"),
        (["yarn.lock"], "yarn@1.22.22", "yarn install --frozen-lockfile"),
        (["bun.lock"], None, "bun install --frozen-lockfile"),
        (["bun.lockb"], None, "bun install --frozen-lockfile"),
        ([], None, "npm install"),
        (["package-lock.json"], "pnpm@9.0.0", "pnpm install --no-frozen-lockfile"),
        (["package-lock.json", "pnpm-lock.yaml"], "pnpm@9.0.0", "pnpm install --frozen-lockfile"),
        (["package-lock.json"], "unheard@1", "npm ci"),
    ],
)
def test_the_lock_file_names_the_package_manager(names: list[str], asks: str | None, expected: str):
    package = {"packageManager": asks} if asks else {}
    chosen = choose_manager(snapshot(*names, package=package))
    assert chosen is not None
    argv = chosen.manager.frozen if chosen.lock else chosen.manager.loose
    assert " ".join(argv) == expected


def test_without_a_package_json_there_is_no_package_manager():
    assert choose_manager(snapshot("package-lock.json")) is None


@steady
@given(st.binary() | st.text().map(str.encode))
def test_any_package_json_is_read_or_refused(text: bytes):
    try:
        parse_package(text)
    except ValueError as error:
        assert str(error)  # noqa: PT017 most inputs raise, some don't
