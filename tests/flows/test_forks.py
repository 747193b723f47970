"""Pull requests of forks on a whole instance, from a stranger's push to what visitors see."""

from collections.abc import Generator

import pytest

from bot.domain.deployment import State
from bot.domain.trust import Trust
from bot.store import releases
from bot.store.engine import reading
from tests.fakes.github import STATIC_TOKEN
from tests.flows.house import House, a_house
from tests.waiting import wait_until

pytestmark = pytest.mark.slow

SNOOP = """
mkdir out
env > out/env.txt
cat /proc/*/environ /proc/*/cmdline > out/proc.txt 2>&1
python3 - "$1" "$2" > out/net.txt 2>&1 <<'END'
import socket, sys
for port in sys.argv[1:]:
    try:
        socket.create_connection(("127.0.0.1", int(port)), 2)
        print(port, "REACHED")
    except OSError as error:
        print(port, "refused")
END
cp *.html out/
"""
RECIPE = '[build]\ncommand = "sh snoop.sh {web} {edge}"\noutput = "out"\n'
POLICY = '[policy.previews]\nforks = "sandboxed"\n'


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Generator[House]:
    with a_house(tmp_path_factory.mktemp("forks"), SLIPWAY_FORK_DOMAIN="forks.localhost") as house:
        if house.slipway.settings.sandbox == "none":
            pytest.skip("this instance has no sandbox")
        yield house


def test_a_stranger_s_push_is_built_apart_and_its_merge_is_built_anew(house: House):
    settings = house.slipway.settings
    ports = {"web": settings.web_address.rpartition(":")[2], "edge": str(settings.edge_port)}
    toml = RECIPE.format(**ports) + POLICY
    project = house.project(files={"slipway.toml": toml, "snoop.sh": SNOOP})
    slipway = house.slipway
    assert slipway.deploy(project.slug, project.main).state is State.SUCCEEDED

    sha = project.change("theirs", branch="theirs")
    opened = project.tell("opened", sha, head_repository="eve/shop", login="eve")
    assert opened == [("deploy", "fork")]
    shown = project.live(sha)
    host = project.environment().hostname
    assert host == f"pr-1-{project.slug}.forks.localhost"
    assert slipway.get(host).text == "theirs"
    seen = {name: slipway.get(host, f"/{name}.txt").text for name in ("env", "proc", "net")}
    assert "HTTPS_PROXY=http://127.0.0.1:3128" in seen["env"]
    assert not [name for name in seen if STATIC_TOKEN in seen[name] or str(slipway.home) in seen[name]]
    assert "SLIPWAY_GITHUB" not in seen["env"] + seen["proc"]
    assert seen["net"].split() == [ports["web"], "refused", ports["edge"], "refused"]
    assert "a commit of a fork" in slipway.log_of(shown.id)
    project.told(sha, "success")

    merged = project.repository.merge("main", "theirs")
    project.tell("closed", sha, merged=True, head_repository="eve/shop")
    project.gone()
    made = slipway.deploy(project.slug, merged, before=project.main)
    assert made.state is State.SUCCEEDED
    with reading(slipway.engine) as tx:
        trusts = [releases.get(tx, one.release_id).trust for one in (shown, made) if one.release_id]
    assert trusts == [Trust.STRANGER, Trust.FULL]
    production = slipway.hostname(project.app)
    wait_until(lambda: slipway.get(production).text == "theirs", 10, "the merge")
    # Trusted builds have the machine's network, but none of its secrets.
    assert STATIC_TOKEN not in slipway.get(production, "/proc.txt").text
    assert "HTTPS_PROXY" not in slipway.get(production, "/env.txt").text
