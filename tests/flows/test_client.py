"""The command line against one running instance, as its operator and from elsewhere by tokens."""

import json
import os
import pty
import signal
import subprocess
from collections.abc import Generator
from pathlib import Path
from typing import Any

import pytest
import yaml

from bot.domain.ids import DeploymentId
from tests import command
from tests.command import CLI, Done
from tests.fakes.repository import Files, Repository
from tests.running import Slipway

pytestmark = pytest.mark.slow
ROOT = Path(__file__).parent.parent.parent
DOC = (ROOT / "docs" / "ci.md").read_text()
RECIPE = '[build]\ncommand = "sh build.sh"\noutput = "."\n'
COUNTING = "for n in $(seq 1 {}); do echo count $n; sleep 0.05; done\n"


class House:
    """A running instance, where GitHub's repositories are folders, with one app."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.slipway = Slipway(folder / "home", {"SLIPWAY_GITHUB_URL": f"file://{folder}"}).up()
        self.repository = self.add("acme/site")
        self.repository.commit({"index.html": "<h1>one</h1>"}, "First")
        self.slipway.run("app", "create", "--repository", "acme/site")

    def add(self, name: str) -> Repository:
        place = self.folder / f"{name}.git"
        place.parent.mkdir(exist_ok=True)
        return Repository(place)

    def elsewhere(self, token: str) -> dict[str, str]:
        """The environment of a machine that knows an address and a token."""
        kept = {name: value for name, value in os.environ.items() if not name.startswith("SLIPWAY_")}
        home = str(self.folder / "nowhere")
        return {**kept, "SLIPWAY_HOME": home, "SLIPWAY_API_URL": self.url, "SLIPWAY_TOKEN": token}

    @property
    def url(self) -> str:
        return f"http://{self.slipway.settings.web_address}"

    def token(self, *words: str) -> str:
        return self.slipway.run("token", "create", *words).strip()

    def show(self, *words: str) -> Any:
        return json.loads(self.slipway.run(*words, "--json"))


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Generator[House]:
    made = House(tmp_path_factory.mktemp("client"))
    yield made
    made.slipway.down()


def refused(done: Done) -> str:
    assert done.returncode == 2, done.stdout + done.stderr
    assert "Traceback" not in done.stderr
    return done.stderr


def test_a_deploy_is_shown_step_by_step_and_ends_with_the_address(house: House):
    house.repository.commit({"index.html": "<h1>shown</h1>"}, "Shown")
    lines = house.slipway.run("deploy", "site", "--note", "why not").splitlines()
    assert "site → production" in lines[0]
    assert any(line.split()[:2] == ["checkout", "succeeded"] for line in lines)
    assert any(line.split()[:2] == ["verify", "succeeded"] for line in lines)
    assert lines[-1] == house.show("open", "site")["url"]
    assert "shown" in house.slipway.get("site.localhost").text
    made = house.show("deploy", "site", "--branch", "main")
    assert (made["status"], made["failure"], made["environment"]) == ("succeeded", None, "production")
    waiting = house.show("deploy", "site", "--no-wait")
    assert house.slipway.ended(DeploymentId(waiting["id"])).reason
    log = house.slipway.run("logs", waiting["reference"], "--json").splitlines()
    assert [json.loads(line)["n"] for line in log] == list(range(1, len(log) + 1))
    assert house.slipway.run("logs", "-f", waiting["reference"], "--json").splitlines() == log


def test_a_failure_shows_the_decisive_lines_and_exits_with_1(house: House):
    broken: Files = {"slipway.toml": '[build]\ncommand = "echo it is broken >&2; exit 3"\noutput = "x"\n'}
    house.repository.commit(broken, "Broken", branch="broken", onto="")
    told = house.slipway.run("deploy", "site", "--branch", "broken", code=1)
    assert "it is broken" in told
    assert "(exit code 3)" in told
    assert "slipway logs DEP-" in told
    facts = json.loads(house.slipway.run("deploy", "site", "--branch", "broken", "--json", code=1))
    assert (facts["failure"]["code"], facts["failure"]["exitCode"]) == ("build-failed", 3)


def test_what_is_refused_exits_with_2_and_says_why(house: House):
    run, here = command.run, house.slipway.environment
    assert "nobody" in refused(run(("deploy", "nobody"), here))
    assert "has no environment 'nowhere'" in refused(run(("deploy", "site", "-e", "nowhere"), here))
    assert "one of" in refused(run(("deploy", "site", "--tag", "v1", "--branch", "main"), here))
    assert "no-such-guid" in refused(run(("explain", "no-such-guid"), here))
    assert "--from" in refused(run(("promote", "site"), here))
    done = run(("deploy", "nobody", "--json"), here)
    assert json.loads(done.stdout)["error"]["code"] == "not-found"


def test_back_and_onwards_without_a_build_and_audited(house: House):
    for text in ("before", "after"):
        house.repository.commit({"index.html": text}, text)
        house.slipway.run("deploy", "site")
    newest, older = house.show("releases", "site")[:2]
    assert newest["liveIn"] == ["production"]
    lines = house.slipway.run("rollback", "site", "--note", "a mistake").splitlines()
    assert f"{older['name']} is live" in lines[-2]
    assert house.slipway.get("site.localhost").text == "before"
    assert house.show("resume", "site")["pinned"] is False
    assert "succeeded" in house.slipway.run("promote", "site", newest["name"])
    assert house.slipway.get("site.localhost").text == "after"
    assert "already" in house.slipway.run("promote", "site", "--from", "production", code=2)
    actions = [one["action"] for one in json.loads(house.slipway.run("audit", "list", "--json"))]
    assert "rollBack" in actions
    assert "resume" in actions


def test_what_is_locked_is_held_and_the_command_says_so(house: House):
    own = house.elsewhere(house.token("--email", "lou@example.org"))
    locked = command.run(("lock", "site", "we move", "--for", "2h"), own)
    assert "locked by lou@example.org until" in locked.stdout, locked.stderr
    try:
        told = house.slipway.run("deploy", "site", code=1)
        assert "we move" in told
        assert "slipway logs -f DEP-" in told
    finally:
        assert "not locked any more" in command.run(("unlock", "site"), own).stdout
    held = house.show("status")["deployments"][0]
    assert house.slipway.run("logs", "-f", held["reference"])
    assert "own machine" in refused(command.run(("audit", "verify"), own))


def test_from_elsewhere_a_person_does_all_by_a_token(house: House):
    own = house.elsewhere(house.token("--email", "mona@example.org"))

    def run(*words: str) -> str:
        done = command.run(words, own)
        assert done.returncode == 0, done.stderr
        return done.stdout

    assert [one["slug"] for one in json.loads(run("app", "list", "--json"))] == ["site"]
    run("variables", "set", "COLOUR=blue", "--app", "site")
    (listed,) = json.loads(run("variables", "list", "--app", "site", "--json"))
    assert (listed["name"], listed["value"]) == ("COLOUR", "blue")
    assert run("variables", "reveal", "COLOUR", "--app", "site") == "blue"
    assert "COLOUR" in run("variables", "unset", "COLOUR", "--app", "site")
    run("app", "disable", "site")
    assert json.loads(run("app", "show", "site", "--json"))["enabled"] is False
    run("app", "enable", "site")
    made = json.loads(run("token", "create", "--name", "reading", "--scope", "read", "--json"))
    reading = house.elsewhere(made["token"])
    assert command.run(("status",), reading).returncode == 0
    assert "slipway status" in refused(command.run(("deploy", "site"), reading))
    run("token", "revoke", str(made["id"]))
    assert "SLIPWAY_TOKEN" in refused(command.run(("status",), reading))
    assert "mona@example.org" in run("--url", house.url, "status")
    assert json.loads(run("previews", "--json")) == []


def test_a_deploy_token_deploys_its_app_alone(house: House):
    other = house.add("acme/other")
    other.commit({"index.html": "other"}, "Other")
    house.slipway.run("app", "create", "--repository", "acme/other")
    ci = house.elsewhere(house.token("--app", "site"))
    assert command.run(("deploy", "site"), ci).returncode == 0
    assert "other" in refused(command.run(("deploy", "other"), ci))
    assert json.loads(command.run(("status", "--json"), ci).stdout)["caller"]["kind"] == "deploy-token"


def test_a_stream_goes_on_after_the_web_process_was_killed(house: House):
    house.repository.commit({"slipway.toml": RECIPE, "build.sh": COUNTING.format(60)}, "Long", branch="long")
    words = [*CLI, "deploy", "site", "--branch", "long", "--logs"]
    with subprocess.Popen(words, env=house.slipway.environment, stdout=subprocess.PIPE, text=True) as running:
        assert running.stdout is not None
        lines: list[str] = []
        for line in running.stdout:
            lines.append(line)
            if "count 10" in line:
                for process in house.slipway.find("bot.web"):
                    process.kill()
        assert running.wait(timeout=60) == 0, lines
    counted = [line.split()[-1] for line in lines if " count " in line]
    assert counted == [str(n) for n in range(1, 61)]


def test_ctrl_c_leaves_the_deployment_and_says_how_to_stop_it(house: House):
    house.repository.commit({"slipway.toml": RECIPE, "build.sh": "sleep 7003\n"}, "Stuck", branch="stuck")
    words = [*CLI, "deploy", "site", "--branch", "stuck", "--logs"]
    with subprocess.Popen(
        words, env=house.slipway.environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as running:
        assert running.stdout is not None
        assert running.stderr is not None
        reference = running.stdout.readline().split()[0]
        next(line for line in running.stdout if " build " in line)
        running.send_signal(signal.SIGINT)
        assert running.wait(timeout=10) == 130
        assert f"slipway cancel {reference}" in running.stderr.read()
    assert house.show("cancel", reference)["status"] == "cancelled"


def test_on_a_terminal_progress_is_alive(house: House):
    house.repository.commit({"slipway.toml": RECIPE, "build.sh": COUNTING.format(10)}, "Seen", branch="seen")
    master, slave = pty.openpty()
    words = [*CLI, "deploy", "site", "--branch", "seen"]
    environment = {**house.slipway.environment, "TERM": "xterm-256color", "COLUMNS": "100"}
    with subprocess.Popen(words, env=environment, stdout=slave, stderr=slave, stdin=slave) as running:
        os.close(slave)
        shown = _read(master)
        assert running.wait(timeout=60) == 0, shown
    os.close(master)
    assert "✔" in shown
    assert "build" in shown
    assert "    count " in shown
    assert "http://site.localhost" in shown.splitlines()[-1]


def test_the_walk_through_works_as_it_is_written(house: House):
    house.add("acme/shop").commit({"index.html": "one"}, "One")
    blocks = [part.split("```")[0] for part in DOC.split("```sh\n")[1:]]
    assert len(blocks) == 3
    kept = house.folder / "kept"
    kept.touch()
    told = ""
    for block in blocks:
        told = _shell(house, block.replace("http://localhost:8000", house.url), kept)
        house.add("acme/shop").commit({"index.html": "two"}, "Two")
    assert told.strip() == "false"
    assert house.slipway.get("shop.localhost").text == "one"


def test_the_job_for_github_actions_waits_until_it_is_live(house: House):
    job = yaml.safe_load(DOC.split("```yaml\n")[1].split("```")[0])
    (step,) = job["jobs"]["deploy"]["steps"]
    sha = house.repository.commit({"index.html": "by CI"}, "By CI")
    settings = {
        "API": f"{house.url}/api/v1",
        "APP": "site",
        "TOKEN": house.token("--app", "site"),
        "GITHUB_SHA": sha,
        "GITHUB_REF_NAME": "main",
        "GITHUB_RUN_ID": "1",
    }
    assert set(step["env"]) <= set(settings)
    for attempt, commit, code in (("1", sha, 0), ("2", "0" * 39 + "1", 1)):
        environment = {**os.environ, **settings, "GITHUB_RUN_ATTEMPT": attempt, "GITHUB_SHA": commit}
        # As GitHub runs it (docs.github.com, workflow syntax, `shell`).
        done = subprocess.run(
            ["bash", "-e", "-c", step["run"]], env=environment, capture_output=True, text=True, check=False
        )
        assert done.returncode == code, done.stdout + done.stderr
    assert house.slipway.get("site.localhost").text == "by CI"


def _shell(house: House, block: str, kept: Path) -> str:
    programs = f"{Path(CLI[0]).parent}{os.pathsep}{os.environ['PATH']}"
    script = f"set -ea\n. {kept}\n{block}\ndeclare -p TOKEN API > {kept}\n"
    environment = {**house.slipway.environment, "PATH": programs}
    done = subprocess.run(
        ["bash", "-o", "pipefail", "-c", script], env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def _read(master: int) -> str:
    shown = b""
    while True:
        try:
            part = os.read(master, 65536)
        except OSError:
            part = b""
        if not part:
            return shown.decode()
        shown += part
