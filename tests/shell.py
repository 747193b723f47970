"""The command line of a machine that knows an instance by its address and a token alone."""

import json
import os
import re
from dataclasses import dataclass, replace
from typing import Any

from tests import command
from tests.calling import Site
from tests.command import Done

_LOGGED = re.compile(r"^[0-9-]{10} [0-9:]{8} \[(?:info|warning) .*\n", re.MULTILINE)


@dataclass
class Shell:
    """Runs commands as one of the callers of a site; the owner, unless another one is named."""

    site: Site

    def environment(self, who: str = "owner") -> dict[str, str]:
        kept = {name: value for name, value in os.environ.items() if not name.startswith("SLIPWAY_")}
        token = self.site[who].http.headers["authorization"].removeprefix("Bearer ")
        return {**kept, "SLIPWAY_API_URL": self.site.url, "SLIPWAY_TOKEN": token}

    def run(self, *words: str, who: str = "owner") -> Done:
        done = command.run(words, self.environment(who))
        # The server is in this process, too: its log is among what is printed.
        return replace(done, stdout=_LOGGED.sub("", done.stdout))

    def said(self, *words: str, who: str = "owner") -> str:
        done = self.run(*words, who=who)
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    def json(self, *words: str, who: str = "owner") -> Any:
        return json.loads(self.said(*words, "--json", who=who))

    def refused(self, *words: str, who: str = "owner") -> str:
        done = self.run(*words, who=who)
        assert done.returncode == 2, done.stdout + done.stderr
        assert "Traceback" not in done.stderr
        return done.stderr
