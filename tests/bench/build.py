"""What Slipway adds to `npm run build` of a Vite project whose dependencies it has installed before."""

import os
import shutil
import subprocess
import tempfile
import time
from itertools import count as counting
from pathlib import Path
from statistics import median

from jobs.sandbox.launch import give_way
from jobs.sandbox.runner import NICE
from tests import node
from tests.bench.figures import Report, Target, rounds, spread
from tests.bench.instance import Site, medians, running
from tests.fakes.repository import Files

NAME = "build"
TITLE = "What Slipway adds to `npm run build`, warm"
MODULES = 400
_STAND_IN = """import { createHash } from 'node:crypto'
import { mkdirSync, readFileSync, readdirSync, writeFileSync } from 'node:fs'
mkdirSync('dist', { recursive: true })
const hash = createHash('sha256')
for (let round = 0; round < 700; round++)
  for (const name of readdirSync('src')) hash.update(readFileSync('src/' + name))
writeFileSync('dist/index.html', '<!doctype html>' + hash.digest('hex'))
writeFileSync('dist/version.txt', readFileSync('public/version.txt'))
"""


def measure(count: int, _seconds: float) -> Report:
    """The command alone, and a whole deploy of the same change, in turns."""
    path = f"{node.programs()}{os.pathsep}{os.environ['PATH']}"
    folder = Path(tempfile.mkdtemp(prefix="bench-vite-"))
    try:
        files, is_vite = _project(folder, path)
        with running(PATH=path) as slipway:
            site = Site.make(slipway, "vite", files, version="public/version.txt")
            numbers, parts = counting(), list[dict[str, float]]()

            def deploy() -> float:
                text = f"version {next(numbers)}"
                seconds = site.deploy(site.change(text), text)
                parts.append(site.parts())
                return seconds

            def alone() -> float:
                begun = time.perf_counter()
                _npm(folder, path, "run", "build")
                return time.perf_counter() - begun

            alone()
            deploy()
            parts.clear()
            found = rounds(count, {"slipway": deploy, "alone": alone})
    finally:
        shutil.rmtree(folder)
    return _report(found, medians(parts), is_vite=is_vite)


def _report(found: dict[str, list[float]], parts: dict[str, float], *, is_vite: bool) -> Report:
    ours, alone = found["slipway"], found["alone"]
    report = Report(NAME, TITLE, ["part", "s"])
    report.rows += [[name, f"{ms / 1000:.2f}"] for name, ms in parts.items() if name != "live"]
    report.rows += [["**push to live**", spread(ours, 2)], ["`npm run build` alone", spread(alone, 2)]]
    added = median(our - their for our, their in zip(ours, alone, strict=True))
    allowed = max(1.0, median(alone) * 0.1)
    report.targets.append(Target("added to the build (1 s, or a tenth of it)", added, allowed, " s"))
    if not is_vite:
        report.notes.append(
            "No npm registry was within reach: a script that reads and hashes stands for Vite."
        )
    return report


def _project(folder: Path, path: str) -> tuple[Files, bool]:
    """The files of a project, which is installed in a folder; and whether it is Vite's."""
    files = _sources()
    files["package.json"] = _package("vite build", '"devDependencies": {"vite": "^8"}')
    _write(folder, files)
    # Some registries lack packages for other platforms; with a lock file of theirs `npm ci` fails.
    is_vite = all(
        _npm(folder, path, *words, "--no-audit", "--no-fund", check=False)
        for words in (("install",), ("ci",))
    )
    if not is_vite:
        files |= {"package.json": _package("node build.mjs", '"type": "module"'), "build.mjs": _STAND_IN}
        _write(folder, files)
        shutil.rmtree(folder / "node_modules", ignore_errors=True)
        (folder / "package-lock.json").unlink(missing_ok=True)
        _npm(folder, path, "install", "--no-audit", "--no-fund", "--offline")
    return {**files, "package-lock.json": (folder / "package-lock.json").read_bytes()}, is_vite


def _sources() -> Files:
    lines = range(60)
    modules = {
        f"src/part{n}.js": "\n".join(f"export const v{n}_{k} = (x) => `<p>${{x}} {k * n}</p>`" for k in lines)
        for n in range(MODULES)
    }
    imports = "\n".join(f"import * as part{n} from './part{n}.js'" for n in range(MODULES))
    uses = "\n".join(f"document.body.innerHTML += part{n}.v{n}_3(1)" for n in range(MODULES))
    page = '<!doctype html><title>vite</title><script type="module" src="/src/main.js"></script>'
    main = {"src/main.js": f"{imports}\n{uses}\n", "index.html": page, "public/version.txt": "first"}
    return {**modules, **main}


def _package(command: str, rest: str) -> str:
    return f'{{"name": "bench", "version": "1.0.0", "scripts": {{"build": "{command}"}}, {rest}}}\n'


def _write(folder: Path, files: Files) -> None:
    for name, content in files.items():
        assert isinstance(content, str)
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(content)


def _npm(folder: Path, path: str, *words: str, check: bool = True) -> bool:
    # As nice as a build of Slipway's, so that other work on the machine delays both alike.
    done = subprocess.run(
        ["npm", *words],
        start_new_session=True,
        preexec_fn=lambda: give_way(NICE),
        cwd=folder,
        env={**os.environ, "PATH": path, "CI": "1"},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        check=check,
        timeout=120,
    )
    return done.returncode == 0
