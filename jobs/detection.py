"""What a repository is made with, told from a few of its files. Pure; the rules are a table."""

import json
import re
from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from jobs.managers import Manager
from jobs.snapshot import ANGULAR_CONFIG, Package, Snapshot

LIKELY_OUTPUTS = ("dist", "build", "out", "public", "_site")
"""Where build scripts of an unknown kind put their output; the first that exists after the build is it."""


class Confidence(StrEnum):
    """How sure a detection is."""

    CERTAIN = "certain"
    LIKELY = "likely"


@dataclass(frozen=True)
class Rule:
    """How a kind of site is recognised and built: every condition that is given must hold.

    `dependency` is one of package.json's, `any_of` and `all_of` are names in the root directory,
    `says` is a pattern for one of the files in `READ`. It is built by the first of `scripts` that
    package.json has; else by `binary` out of the packages, or by `command` with a tool of the machine.
    """

    framework: str
    outputs: tuple[str, ...]
    dependency: str | None = None
    any_of: tuple[str, ...] = ()
    all_of: tuple[str, ...] = ()
    says: str | None = None
    scripts: tuple[str, ...] = ()
    binary: tuple[str, ...] = ()
    command: tuple[str, ...] = ()
    install: tuple[str, ...] = ()
    confidence: Confidence = Confidence.CERTAIN


def _packaged(framework: str, dependency: str, binary: str, *outputs: str, **more: Any) -> Rule:
    return Rule(
        framework,
        outputs,
        dependency=dependency,
        scripts=more.pop("scripts", ("build",)),
        binary=tuple(binary.split()),
        **more,
    )


RULES = (
    _packaged("Next.js export", "next", "next build", "out", says=r"output\s*:\s*['\"`]export['\"`]"),
    _packaged("Astro", "astro", "astro build", "dist"),
    _packaged("Eleventy", "@11ty/eleventy", "eleventy", "_site"),
    _packaged("Gatsby", "gatsby", "gatsby build", "public"),
    _packaged("Create React App", "react-scripts", "react-scripts build", "build"),
    _packaged("Docusaurus", "@docusaurus/core", "docusaurus build", "build"),
    _packaged(
        "VitePress",
        "vitepress",
        "vitepress build docs",
        "docs/.vitepress/dist",
        all_of=("docs/.vitepress",),
        scripts=("docs:build", "build"),
    ),
    _packaged(
        "VitePress", "vitepress", "vitepress build", ".vitepress/dist", scripts=("docs:build", "build")
    ),
    _packaged("SvelteKit, static", "@sveltejs/adapter-static", "vite build", "build"),
    _packaged("Nuxt, generated", "nuxt", "nuxt generate", ".output/public", "dist", scripts=("generate",)),
    _packaged("Angular", "@angular/core", "ng build", "dist", all_of=(ANGULAR_CONFIG,)),
    _packaged("Vite", "vite", "vite build", "dist"),
    Rule("Hugo", ("public",), any_of=("hugo.toml", "hugo.yaml", "hugo.json"), command=("hugo", "--minify")),
    Rule(
        "Hugo",
        ("public",),
        any_of=("config.toml", "config.yaml", "config.json"),
        all_of=("content",),
        command=("hugo", "--minify"),
        confidence=Confidence.LIKELY,
    ),
    Rule(
        "Jekyll",
        ("_site",),
        all_of=("_config.yml", "Gemfile"),
        install=("bundle", "install"),
        command=("bundle", "exec", "jekyll", "build"),
    ),
    Rule("MkDocs", ("site",), any_of=("mkdocs.yml", "mkdocs.yaml"), command=("mkdocs", "build")),
    Rule("build script", LIKELY_OUTPUTS, scripts=("build",), confidence=Confidence.LIKELY),
    Rule("plain HTML", (".",), all_of=("index.html",)),
    Rule("plain HTML", ("public",), all_of=("public/index.html",)),
)


@dataclass(frozen=True)
class Detected:
    """A kind of site, how sure that is and why, how to build it, and where its output may be.

    `install` and `build` are argv lists, empty when there is nothing to run; `uses_packages` tells
    that package.json's dependencies must be installed.
    """

    framework: str
    confidence: Confidence
    evidence: tuple[str, ...]
    install: tuple[str, ...]
    build: tuple[str, ...]
    outputs: tuple[str, ...]
    uses_packages: bool


def detect(snapshot: Snapshot, manager: Manager | None) -> Detected | None:
    """The first rule of the table that holds."""
    for rule in RULES:
        evidence = _evidence(rule, snapshot)
        if evidence is not None:
            return _apply(rule, snapshot, manager, evidence)
    return None


def _evidence(rule: Rule, snapshot: Snapshot) -> tuple[str, ...] | None:
    """Why a rule holds; None when it doesn't."""
    found: list[str] = []
    package = snapshot.package
    if rule.dependency is not None:
        if package is None or rule.dependency not in package.dependencies:
            return None
        found.append(f"package.json depends on {rule.dependency} {package.dependencies[rule.dependency]}")
    elif rule.scripts:
        script = _script(rule, package)
        if script is None:
            return None
        found.append(f"package.json has a script '{script}'")
    if not snapshot.names.issuperset(rule.all_of):
        return None
    some = [name for name in rule.any_of if name in snapshot.names][:1]
    if rule.any_of and not some:
        return None
    found += [f"{name} is there" for name in (*some, *rule.all_of)]
    if rule.says is not None:
        saying = [name for name, text in snapshot.texts.items() if re.search(rule.says, text)]
        if not saying:
            return None
        found.append(f"{saying[0]} asks for it")
    return tuple(found)


def _apply(rule: Rule, snapshot: Snapshot, manager: Manager | None, evidence: tuple[str, ...]) -> Detected:
    script = _script(rule, snapshot.package)
    build = rule.command
    if manager is not None and script is not None:
        build = (*manager.script, script)
    elif manager is not None and rule.binary:
        build = (*manager.binary, *rule.binary)
    outputs = rule.outputs
    if rule.framework == "Angular":
        outputs = (*_angular_outputs(snapshot.texts.get(ANGULAR_CONFIG, "")), *outputs)
    uses_packages = bool(build) and (script is not None or bool(rule.binary))
    return Detected(
        rule.framework, rule.confidence, evidence, rule.install, build, outputs, uses_packages=uses_packages
    )


def _script(rule: Rule, package: Package | None) -> str | None:
    if package is None:
        return None
    return next((name for name in rule.scripts if name in package.scripts), None)


def _angular_outputs(text: str) -> Iterable[str]:
    # The application builder writes dist/<project>/browser (angular.dev/tools/cli/build).
    try:
        found: Any = json.loads(text)
        projects: list[str] = list(found["projects"])
    except (ValueError, KeyError, TypeError, RecursionError):
        return
    for name in projects:
        yield f"dist/{name}/browser"
        yield f"dist/{name}"
