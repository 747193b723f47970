"""Every process is killed at its worst moment, in one instance that goes on all the while."""

import random
import threading
import time
from collections.abc import Callable, Generator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

import httpx
import psutil
import pytest

from bot.domain.deployment import Deployment, Phase, State
from bot.domain.ids import AppId, Sha
from bot.store import lease_rows
from bot.store.engine import reading
from jobs.sandbox import cgroup, processes
from tests.fakes.github import STATIC_TOKEN, FakeGitHub
from tests.fakes.repository import Files, Repository
from tests.running import Slipway, alive
from tests.waiting import wait_until

pytestmark = pytest.mark.long

RECIPE = '[build]\ncommand = "sh build.sh"\noutput = "out"\n'
BUILD = (
    "sleep 0.625\nmkdir out\necho {0} > out/index.html\n"
    "for n in $(seq 600); do echo {0}.$n > out/$n.txt; done\n"
)
FINAL_SECONDS = 60


@dataclass
class Visitor:
    """Asks for the site without pause; what was not a whole answer is kept, with its moment."""

    slipway: Slipway
    hostname: str
    answers: int = 0
    wrong: list[tuple[float, str]] = field(default_factory=list[tuple[float, str]])

    @contextmanager
    def watching(self) -> Generator[None]:
        ended = threading.Event()
        thread = threading.Thread(target=self._watch, args=(ended,))
        thread.start()
        try:
            yield
        finally:
            ended.set()
            thread.join()

    def _watch(self, ended: threading.Event) -> None:
        with self.slipway.visitor(self.hostname) as client:
            while not ended.wait(0.03):
                try:
                    answer = client.get("/")
                except httpx.HTTPError as error:
                    self.wrong.append((time.monotonic(), repr(error)))
                    continue
                self.answers += 1
                if answer.status_code != 200 or not answer.text.startswith("text "):
                    self.wrong.append((time.monotonic(), f"{answer.status_code}: {answer.text[:80]}"))


@dataclass
class Range:
    """Where things are shot at: an instance that tells a GitHub, an app with a slow build, a quick one."""

    slipway: Slipway
    github: FakeGitHub
    slow: Repository
    quick: Repository
    app: AppId
    quick_app: AppId
    sha: Sha
    number: int = 0

    @property
    def visitor(self) -> Visitor:
        return Visitor(self.slipway, self.slipway.hostname(self.app))

    def send(self) -> tuple[Sha, str]:
        self.number += 1
        sha = self.slow.commit({"build.sh": BUILD.format(f"text {self.number}")}, f"Text {self.number}")
        guid = self.slipway.push("slow", sha, before=self.sha)
        self.sha = sha
        return sha, guid

    def push(self) -> tuple[Sha, Deployment]:
        sha, guid = self.send()
        return sha, self.slipway.deployment_of(guid)

    def push_quick(self) -> Sha:
        sha = self.quick.commit({"index.html": f"quick {self.number}"}, f"Quick {self.number}")
        self.slipway.push("quick", sha)
        return sha

    def quick_one(self, sha: Sha) -> Deployment:
        """The deployment of a quick commit: of its delivery, or of the sweep's look at the branch."""

        def found() -> list[Deployment]:
            made = [one for one in self.slipway.deployments(self.quick_app) if one.sha == sha]
            return made if self.slipway.undecided() == 0 else []

        return self.slipway.ended(wait_until(found, FINAL_SECONDS, "a quick deployment")[0].id, FINAL_SECONDS)

    def told(self, sha: Sha) -> list[str]:
        statuses = self.github.world.repositories["acme/slow"].statuses
        return [one["state"] for one in statuses if one["sha"] == sha]


@pytest.fixture(scope="module")
def shot(tmp_path_factory: pytest.TempPathFactory) -> Generator[Range]:
    folder = tmp_path_factory.mktemp("faults")
    with FakeGitHub().running() as github:
        github.add_token()
        github.add_repository("acme/slow", int.from_bytes(b"slow", "big"))
        github.add_repository("acme/quick", int.from_bytes(b"quick", "big"))
        options = {
            "SLIPWAY_GITHUB_API_URL": github.url,
            "SLIPWAY_GITHUB_TOKEN": STATIC_TOKEN,
            "SLIPWAY_GITHUB_WRITES_PER_MINUTE": "10000",
            "SLIPWAY_GITHUB_WRITES_PER_HOUR": "10000",
        }
        slipway = Slipway(folder / "home", options).up()
        slow, quick = Repository(folder / "slow"), Repository(folder / "quick")
        sha = slow.commit({"slipway.toml": RECIPE, "build.sh": BUILD.format("text 0")}, "Text 0")
        app = slipway.create_app(slow, "slow")
        quick_app = slipway.create_app(quick, "quick")
        assert slipway.deploy("slow", sha).state is State.SUCCEEDED
        yield Range(slipway, github, slow, quick, app, quick_app, sha)
        slipway.down()


def launcher(slipway: Slipway) -> psutil.Process:
    return slipway.find("jobs.worker")[0]


def forked(slipway: Slipway) -> list[psutil.Process]:
    """The processes that deploy, and those that wait for a permit."""
    return [one for executor in launcher(slipway).children() for one in executor.children()]


def horses(slipway: Slipway) -> list[psutil.Process]:
    """The processes that hold a lease."""
    with reading(slipway.engine) as tx:
        holders = [one.lease_holder for one in lease_rows.leased(tx)]
    holding = {int(holder.split("/")[1]) for holder in holders if holder}
    return [one for one in forked(slipway) if one.pid in holding]


def horse(slipway: Slipway) -> psutil.Process:
    return (wait_until(lambda: horses(slipway), what="a deploy job"))[0]


def spares(slipway: Slipway) -> list[psutil.Process]:
    """The processes that wait for a permit; each executor has one, unless it deploys."""
    working = horses(slipway)
    return [one for one in forked(slipway) if one not in working]


def build(_slipway: Slipway) -> psutil.Process:
    for process in psutil.process_iter():
        try:
            if process.cmdline() == ["sleep", "0.625"]:
                return process
        except psutil.Error:
            continue
    raise AssertionError("no build runs")


VICTIMS: dict[str, Callable[[Slipway], psutil.Process]] = {
    "web": lambda slipway: slipway.find("bot.web")[0],
    "launcher": launcher,
    "executor": lambda slipway: psutil.Process(horse(slipway).ppid()),
    "horse": horse,
    "spare": lambda slipway: wait_until(lambda: spares(slipway), what="a process that waits")[0],
    "valkey": lambda slipway: (slipway.find("valkey-server") or slipway.find("redis-server"))[0],
    "caddy": lambda slipway: slipway.find("Caddyfile")[0],
    "edge": lambda slipway: slipway.find("jobs.edge")[0],
    "sweep": lambda slipway: slipway.find("jobs.sweep")[0],
}


Moment = Callable[[Range, Deployment], bool]


def in_build(shot: Range, deployment: Deployment) -> bool:
    try:
        build(shot.slipway)
    except AssertionError:
        return False
    return shot.slipway.deployment(deployment.id).phase is Phase.BUILD


def at_switch(shot: Range, deployment: Deployment) -> bool:
    found = shot.slipway.deployment(deployment.id)
    return found.phase in (Phase.RELEASE, Phase.VERIFY) or found.state.is_final


def reached(moment: Moment, shot: Range, deployment: Deployment) -> None:
    deadline = time.monotonic() + 30
    while not moment(shot, deployment):
        assert time.monotonic() < deadline, shot.slipway.deployment(deployment.id)
        time.sleep(0.002)


def lies_about(slipway: Slipway) -> list[str]:
    """What a deployment that has ended should have taken along."""
    work = slipway.home / "work"
    groups = cgroup.find()
    found = [str(path) for path in work.iterdir()] if work.exists() else []
    found += [str(group.pids) for group in (groups.named(slipway.settings.instance) if groups else [])]
    found += [
        f"process {pid}" for pid in processes.marked(lambda name: name.startswith(slipway.settings.instance))
    ]
    found += [str(path) for path in (slipway.home / "artifacts" / "staging").iterdir()]
    return found + [str(path) for path in (slipway.home / "logs" / "spool").glob("*.jsonl*")]


def whole(slipway: Slipway) -> None:
    """Wait until everything runs again."""

    def is_ready() -> bool:
        try:
            url = f"http://{slipway.settings.web_address}/ready"
            return httpx.get(url, timeout=5, trust_env=False).status_code == 200
        except httpx.HTTPError:
            return False

    wait_until(is_ready, 20, "everything to run again")


def check_aftermath(shot: Range, sha: Sha, ended: Deployment, state: State) -> None:
    slipway = shot.slipway
    assert ended.state is state, f"{ended.failure}\n{slipway.log.read_text()}"
    word = "success" if state is State.SUCCEEDED else "failure"
    wait_until(lambda: shot.told(sha)[-1:] == [word], FINAL_SECONDS, f"the last word of {ended.id}")
    told = shot.told(sha)
    assert told[0] == "pending"
    assert word not in told[:-1]
    wait_until(lambda: shot.github.deployment_states("acme/slow")[-1][2] == word, FINAL_SECONDS, word)
    shot.github.assert_nothing_unexpected()
    wait_until(lambda: not lies_about(slipway), FINAL_SECONDS, "nothing to lie about")


IN_BUILD = ["web sweep", "launcher", "executor", "horse", "spare", "valkey", "edge", " ".join(VICTIMS)]
AT_SWITCH = ["web", "launcher", "horse", "valkey", "caddy", "edge", "sweep"]
CASES = [(in_build, names) for names in IN_BUILD] + [(at_switch, names) for names in AT_SWITCH]


@pytest.mark.parametrize(("moment", "names"), CASES)
def test_a_kill_loses_nothing(shot: Range, moment: Moment, names: str):
    slipway, visitor = shot.slipway, shot.visitor
    with visitor.watching():
        sha, deployment = shot.push()
        reached(in_build, shot, deployment)
        targets = [VICTIMS[name](slipway) for name in names.split()]
        delivered = shot.push_quick()
        reached(moment, shot, deployment)
        killed = time.monotonic()
        for target in targets:
            with suppress(psutil.NoSuchProcess):
                target.kill()
        ended = slipway.ended(deployment.id, FINAL_SECONDS)
        quick = shot.quick_one(delivered)
        check_aftermath(shot, sha, ended, State.SUCCEEDED)
        whole(slipway)
    assert quick.state is State.SUCCEEDED
    assert slipway.get(visitor.hostname).text == f"text {shot.number}\n"
    assert visitor.answers > 10
    # Only who serves the site can be missed, and not for long.
    allowed = killed + 4 if {"caddy", "edge"} & set(names.split()) else 0
    assert [text for at, text in visitor.wrong if not killed <= at <= allowed] == []


def held(shot: Range) -> bool:
    return bool(horses(shot.slipway))


TAKEOVERS: dict[str, Callable[[Slipway], list[psutil.Process]]] = {
    "horse": horses,
    "executor": lambda slipway: [psutil.Process(one.ppid()) for one in horses(slipway)],
    "launcher": lambda slipway: [launcher(slipway)],
}


def finish(shot: Range, sha: Sha, guid: str) -> Deployment:
    made = shot.slipway.deployment_of(guid, FINAL_SECONDS)
    ended = shot.slipway.ended(made.id, FINAL_SECONDS)
    check_aftermath(shot, sha, ended, State.SUCCEEDED)
    whole(shot.slipway)
    assert shot.slipway.get(shot.visitor.hostname).text == f"text {shot.number}\n"
    return ended


@pytest.mark.parametrize("names", TAKEOVERS)
def test_a_kill_of_who_has_just_taken_over_loses_nothing(shot: Range, names: str):
    wait_until(lambda: not horses(shot.slipway), 20, "the end of other work")
    with shot.visitor.watching():
        sha, guid = shot.send()
        deadline = time.monotonic() + 20
        while not held(shot):
            assert time.monotonic() < deadline
        for target in TAKEOVERS[names](shot.slipway):
            target.kill()
        ended = finish(shot, sha, guid)
    assert ended.attempt == 2


@pytest.mark.parametrize("pause", [-1, 0, 0.01, 0.02, 0.04])
def test_a_kill_of_who_waits_for_a_permit_loses_nothing(shot: Range, pause: float):
    wait_until(lambda: not horses(shot.slipway) and len(spares(shot.slipway)) == 2, 20, "all to wait")
    waiting = spares(shot.slipway)
    with shot.visitor.watching():
        if pause < 0:
            for one in waiting:
                one.kill()
        sha, guid = shot.send()
        # Before the permit comes, while it is taken, or just afterwards.
        time.sleep(max(pause, 0))
        for one in waiting:
            with suppress(psutil.NoSuchProcess):
                one.kill()
        finish(shot, sha, guid)
    # Those that waited have successors, and the executors lost nothing by it.
    wait_until(lambda: len(spares(shot.slipway)) >= 1, 20, "others to wait")


def ours(slipway: Slipway) -> list[psutil.Process]:
    """Every process but those of builds, and but the first, which starts the others again."""
    found: list[psutil.Process] = []
    for one in slipway.processes():
        with suppress(psutil.Error, OSError):
            is_boxed = Path(f"/proc/{one.pid}/ns/pid").readlink() != Path("/proc/self/ns/pid").readlink()
            if not is_boxed and processes.MARK not in one.environ():
                found.append(one)
    return found


@pytest.mark.timeout(600)
def test_any_process_may_be_killed_at_any_moment(shot: Range):
    dice = random.Random(7)
    for _ in range(25):
        whole(shot.slipway)
        sha, guid = shot.send()
        time.sleep(dice.random() * 1.5)
        victim = dice.choice(sorted(ours(shot.slipway), key=lambda one: one.pid))
        with suppress(psutil.NoSuchProcess):
            victim.kill()
        made = shot.slipway.deployment_of(guid, FINAL_SECONDS)
        ended = shot.slipway.ended(made.id, FINAL_SECONDS)
        check_aftermath(shot, sha, ended, State.SUCCEEDED)
        shown = lambda: shot.slipway.get(shot.visitor.hostname).text  # noqa: E731
        whole(shot.slipway)
        assert shown() == f"text {shot.number}\n"


def test_a_killed_build_is_the_builds_own_failure(shot: Range):
    slipway = shot.slipway
    before = slipway.get(shot.visitor.hostname).text
    sha, deployment = shot.push()
    reached(in_build, shot, deployment)
    shell = build(slipway).parent()
    assert shell is not None
    shell.kill()
    ended = slipway.ended(deployment.id, FINAL_SECONDS)
    check_aftermath(shot, sha, ended, State.FAILED)
    assert ended.failure is not None
    assert (ended.failure.code, ended.failure.facts["exit_code"]) == ("build-failed", 137)
    assert slipway.get(shot.visitor.hostname).text == before


def test_nothing_outlives_a_stop_after_a_launcher_was_killed(shot: Range):
    slipway = shot.slipway
    _, deployment = shot.push()
    reached(in_build, shot, deployment)
    running = build(slipway)
    below = launcher(slipway).children(recursive=True)
    launcher(slipway).kill()
    assert slipway.down() == 0
    wait_until(lambda: not alive([running, *below]), 10, "what the launcher started to end")
    # The lock and the socket of before are no hindrance.
    slipway.up()
    assert slipway.ended(deployment.id, FINAL_SECONDS).state is State.SUCCEEDED
    assert "error" not in slipway.run("doctor")


@pytest.mark.parametrize(
    "name", ["a home with spaces & 'quotes'", "long/" * 24 + "home"], ids=["odd", "long"]
)
def test_a_home_may_lie_anywhere(tmp_path: Path, name: str):
    slipway = Slipway(tmp_path / name)
    slipway.home.parent.mkdir(parents=True, exist_ok=True)
    repository = Repository(tmp_path / "anywhere")
    recipe = '[build]\ncommand = "mkdir out; echo hello > out/index.html"\noutput = "out"\n'
    sha = repository.commit({"slipway.toml": recipe, "_redirects": "/a /b 302"}, "First")
    try:
        slipway.up()
        app = slipway.create_app(repository, "anywhere")
        deployed = slipway.deploy("anywhere", sha)
        assert deployed.state is State.SUCCEEDED, slipway.log_of(deployed.id)
        assert slipway.get(slipway.hostname(app)).text == "hello\n"
    finally:
        if slipway.process is not None:
            slipway.down()


def test_two_instances_of_a_machine_leave_each_others_builds_alone(shot: Range, tmp_path: Path):
    # Both count their deployments from 1: the second finds what looks like its own attempt's rest.
    other = Slipway(tmp_path / "other").up()
    try:
        slow: Files = {"build.sh": "sleep 5.125\n" + BUILD.format("text slow")}
        sha = shot.slow.commit(slow, "Slow")
        made = shot.slipway.deployment_of(shot.slipway.push("slow", sha, before=shot.sha))
        boxed = f"{shot.slipway.settings.instance}-"
        wait_until(lambda: processes.marked(lambda name: name.startswith(boxed)), 20, "the build to run")
        rest = other.home / "work" / f"{made.id}-{made.attempt}"
        rest.mkdir(parents=True)
        wait_until(lambda: not rest.exists(), 20, "the rest to go")
        assert processes.marked(lambda name: name.startswith(boxed))
    finally:
        other.down()
    ended = shot.slipway.ended(made.id)
    assert (ended.state, ended.attempt) == (State.SUCCEEDED, 1)
