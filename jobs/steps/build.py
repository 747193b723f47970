"""Builds the commit on a copy of its files: installs dependencies, runs the build command, in boxes."""

import json
import platform
import time
from collections.abc import Generator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from bot.domain.deployment import Phase
from bot.domain.environment import PRODUCTION
from bot.domain.ids import Digest
from bot.errors import ErrorCode, PlatformError, UserError
from jobs.copying import hand_over
from jobs.dependencies import Dependencies, key_of
from jobs.files import FolderFiles
from jobs.regime import DiskWatch, Regime, regime_of
from jobs.sandbox import slots, toolchain
from jobs.sandbox.box import Box, End, Mount, Outcome, Sandbox, attempt_prefix
from jobs.sandbox.toolchain import Toolchain
from jobs.steps.context import PLACE_VARIABLES, Context, Plan, Source
from jobs.steps.place import Site, lay_out
from jobs.steps.wording import ended, say_variables, shown
from jobs.stopping import StoppedError

_STRICT = "a commit of a fork: no variables, no caches, and no network but package registries"
_SHOWN = 5
TREE = "/build"
HOME = "/home/build"
CACHE = "/cache"
COMPILED = "/compiled"
# The scripts that npm, pnpm and yarn run around an install (docs.npmjs.com/cli/v11/using-npm/scripts).
_LIFECYCLE = ("preinstall", "install", "postinstall", "preprepare", "prepare", "postprepare")
_CERTIFICATES = ("/etc/ssl/certs/ca-certificates.crt", "/etc/pki/tls/certs/ca-bundle.crt")


def run(context: Context, source: Source, plan: Plan, sandbox: Sandbox) -> Path:
    """Install and build; the output directory's absolute path.

    Files that need no command are served from where they are. Raises `UserError` INSTALL_FAILED,
    BUILD_FAILED, BUILD_TIMED_OUT, BUILD_OUT_OF_MEMORY, TOOL_MISSING or OUTPUT_MISSING, for a stranger's
    code NETWORK_REFUSED and BUILD_TOO_LARGE; `PlatformError` DISK_FULL, SANDBOX_FAILED or
    SANDBOX_MISSING, and `StoppedError`.
    """
    if not plan.install and not plan.build:
        return _output(source.tree, source.root, plan)
    regime = regime_of(context.settings, context.trust, lambda said: context.log.say(Phase.BUILD, said))
    if regime.is_strict:
        if sandbox.unfit is not None:
            raise PlatformError(ErrorCode.SANDBOX_MISSING, reason=sandbox.unfit)
        context.log.say(Phase.BUILD, _STRICT)
    if sandbox.warning:
        context.log.say(Phase.BUILD, f"warning: {sandbox.warning}")
    say_variables(context)
    tools = toolchain.without_walls() if sandbox.name == "none" else toolchain.within_walls()
    for argv in filter(None, (plan.install, plan.build)):
        _require(tools, argv)
    with slots.take(context.settings.home) as slot:
        site = lay_out(context, source, sandbox.user(slot))
        disk = regime.watch_over([site.tree, site.home])
        work = _Work(context, plan, sandbox, tools, site, regime, disk)
        with work.compiling() as kept:
            replace(work, kept=kept).run()
        return _output(site.tree, site.root, plan)


def variables_of(context: Context, plan: Plan) -> dict[str, str]:
    """The variables of the environment, and what a build is told about itself; a stranger's has none."""
    deployment, settings = context.deployment, context.settings
    place = (
        context.environment.name,
        settings.site_url(context.environment.hostname),
        deployment.branch or "",
    )
    return {
        "CI": "1",
        **context.variables.values,
        "SLIPWAY": "1",
        "SLIPWAY_COMMIT": deployment.sha,
        **(dict(zip(PLACE_VARIABLES, place, strict=True)) if plan.tells_place else {}),
    }


@dataclass(frozen=True)
class _Work:
    context: Context
    plan: Plan
    sandbox: Sandbox
    tools: Toolchain
    site: Site
    regime: Regime
    disk: DiskWatch
    kept: Path | None = None
    """Where Node.js finds what it compiled before, and leaves what it compiles now."""

    def run(self) -> None:
        """Install, and build."""
        self.install()
        if self.plan.build:
            variables = {"NODE_ENV": "production", **variables_of(self.context, self.plan)}
            self.command(self.plan.build, variables, ErrorCode.BUILD_FAILED)

    @contextmanager
    def compiling(self) -> Generator[Path | None]:
        """The folder of what is compiled, for trusted code: who writes it, chooses what later builds run."""
        if self.regime.is_strict or self.context.deployment.clean or "node" not in self.tools.found:
            yield None
            return
        cache = Dependencies(self.context.settings.home, self.context.app.id)
        with cache.compiled(self.context.environment.kind) as folder:
            hand_over(folder, self.site.user)
            yield folder

    def install(self) -> None:
        """Restore the dependencies, or install and keep them."""
        if not self.plan.install:
            return
        if self.regime.is_strict:
            self._install_apart()
            return
        environment = self.context.environment
        cache = Dependencies(self.context.settings.home, self.context.app.id)
        key = self._key(environment.name)
        if self.context.deployment.clean:
            self._install_apart()
            if key is not None:
                cache.forget(key)
        elif key is not None and self._restore(cache, key):
            return
        else:
            self._install_beside(cache)
        if key is not None:
            cache.save(key, self.site.root, self.context.stopped)

    def _install_beside(self, cache: Dependencies) -> None:
        """Install with what the package manager downloaded before."""
        with cache.downloads(self.context.environment.kind) as downloads:
            hand_over(downloads, self.site.user)
            mount = Mount(downloads, CACHE, writable=True)
            self.command(self.plan.install, self._install_variables(), ErrorCode.INSTALL_FAILED, [mount])

    def _install_apart(self) -> None:
        """Install with nothing kept: neither read from what others left, nor left to others."""
        downloads = self.site.home / "downloads"
        downloads.mkdir()
        hand_over(downloads, self.site.user)
        mount = Mount(downloads, CACHE, writable=True)
        self.command(self.plan.install, self._install_variables(), ErrorCode.INSTALL_FAILED, [mount])

    def command(
        self,
        argv: Sequence[str],
        variables: Mapping[str, str],
        failure: ErrorCode,
        mounts: Sequence[Mount] = (),
    ) -> None:
        """Run one command of theirs to its end, and say what came of it."""
        context, said = self.context, shown(argv)
        context.check()
        context.log.say(Phase.BUILD, f"$ {said}")
        started = time.monotonic()
        outcome = self.sandbox.run(self._box(argv, variables, mounts), self._print, self._must_end)
        seconds = time.monotonic() - started
        context.log.say(Phase.BUILD, f"{ended(outcome)} after {seconds:.1f} s")
        context.ran(Phase.BUILD, said, outcome.code)
        self._judge(outcome, said, failure)

    def _must_end(self) -> bool:
        return self.context.stopped() or self.disk.glance()

    def _restore(self, cache: Dependencies, key: Digest) -> bool:
        started = time.monotonic()
        root, stopped = self.site.root, self.context.stopped
        # What production installed, all may use. What others installed stays with them: their branches'
        # own scripts, which no lock file pins, may have changed it.
        production = self._key(PRODUCTION)
        if not cache.restore(key, root, stopped) and not (
            production and cache.restore(production, root, stopped)
        ):
            return False
        hand_over(root, self.site.user)
        seconds = time.monotonic() - started
        text = f"dependencies restored from the cache in {seconds:.1f} s: {shown(self.plan.install)} skipped"
        self.context.log.say(Phase.BUILD, text)
        for script in _scripts(root):
            argv = (self.plan.install[0], "run", script)
            self.command(argv, self._install_variables(), ErrorCode.INSTALL_FAILED)
        return True

    def _key(self, environment: str) -> Digest | None:
        # What a command of their own does besides installing is unknown, so it is never skipped.
        if self.plan.install[0] == "sh" or not self.plan.lock_files:
            return None
        locks = [self.site.root / name for name in self.plan.lock_files]
        if any(lock.is_symlink() or not lock.is_file() for lock in locks):
            return None
        used = [self.tools.fingerprint(name) for name in ("node", self.plan.install[0])]
        # Scripts of an install may keep what they were given: nobody gets it who is given something else.
        given = self.context.variables.digest
        told = [given] if given else []
        return key_of(
            self.site.root, locks, [environment, *self.plan.install, *used, platform.platform(), *told]
        )

    def _install_variables(self) -> dict[str, str]:
        return {
            **variables_of(self.context, self.plan),
            "npm_config_cache": f"{CACHE}/npm",
            "npm_config_audit": "false",
            "npm_config_fund": "false",
            "npm_config_update_notifier": "false",
            "YARN_CACHE_FOLDER": f"{CACHE}/yarn",
            "BUN_INSTALL_CACHE_DIR": f"{CACHE}/bun",
            # npm warns of settings that it does not know.
            **({"npm_config_store_dir": f"{CACHE}/pnpm"} if self.plan.package_manager == "pnpm" else {}),
        }

    def _box(self, argv: Sequence[str], variables: Mapping[str, str], mounts: Sequence[Mount]) -> Box:
        context, settings, site, regime = self.context, self.context.settings, self.site, self.regime
        deployment = context.deployment
        prefix = attempt_prefix(settings.instance, deployment.id, deployment.attempt)
        certificates = next((name for name in _CERTIFICATES if Path(name).is_file()), None)
        trusted = {"NODE_EXTRA_CA_CERTS": certificates} if certificates else {}
        return Box(
            name=f"{prefix}{time.monotonic_ns()}",
            argv=argv,
            directory=_inside(site.tree, site.root),
            limits=regime.limits,
            network=not regime.is_strict,
            gate=regime.gate,
            mounts=[
                Mount(site.tree, TREE, writable=True),
                Mount(site.home, HOME, writable=True),
                *mounts,
                *([Mount(self.kept, COMPILED, writable=True)] if self.kept else []),
                *self.tools.mounts,
            ],
            environ={
                **trusted,
                **({"NODE_COMPILE_CACHE": COMPILED} if self.kept else {}),
                **regime.variables(),
                **variables,
                "PATH": self.tools.path,
                "HOME": HOME,
            },
            user=site.user,
        )

    def _print(self, stream: str, chunk: bytes) -> None:
        self.context.log.output(Phase.BUILD, stream, chunk)

    def _judge(self, outcome: Outcome, command: str, failure: ErrorCode) -> None:
        limits = self.regime.limits
        if self.disk.look():
            raise UserError(ErrorCode.BUILD_TOO_LARGE, command=command, limit=self.regime.disk or 0)
        match outcome.end:
            case End.STOPPED:
                raise StoppedError
            case End.TIMED_OUT:
                raise UserError(ErrorCode.BUILD_TIMED_OUT, command=command, limit=limits.seconds)
            case End.OUT_OF_MEMORY:
                raise UserError(ErrorCode.BUILD_OUT_OF_MEMORY, command=command, limit=limits.memory)
            case End.EXITED:
                refused = self.regime.gate.refused if self.regime.gate else {}
                if outcome.code != 0 and refused:
                    hosts = "; ".join(list(refused)[:_SHOWN])
                    raise UserError(ErrorCode.NETWORK_REFUSED, command=command, hosts=hosts)
                if outcome.code != 0:
                    raise UserError(failure, command=command, exit_code=outcome.code)


def _require(tools: Toolchain, argv: Sequence[str]) -> None:
    tool = argv[0]
    if tool in toolchain.NAMES and tool not in tools.found:
        raise UserError(ErrorCode.TOOL_MISSING, tool=tool, why=f"the build calls {shown(argv)}")


def _output(tree: Path, root: Path, plan: Plan) -> Path:
    """The output directory, with every link on the way followed: it may not lead out of the tree."""
    top = tree.resolve()
    for name in (plan.output, *plan.alternatives):
        directory = (root / name).resolve()
        if directory.is_dir() and directory.is_relative_to(top):
            return directory
    raise UserError(ErrorCode.OUTPUT_MISSING, directory=plan.output)


def _scripts(root: Path) -> list[str]:
    """The scripts of the repository's own that belong to an install, in the order that npm runs them."""
    try:
        scripts = json.loads(FolderFiles(root).read("package.json") or b"")["scripts"]
        return [name for name in _LIFECYCLE if name in scripts]
    except (OSError, ValueError, KeyError, TypeError):
        return []


def _inside(tree: Path, root: Path) -> str:
    below = root.relative_to(tree).as_posix()
    return TREE if below == "." else f"{TREE}/{below}"
