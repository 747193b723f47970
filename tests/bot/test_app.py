import subprocess
import sys

_PROGRAM = """
import sys
import bot.app, bot.web
heavy = {"githubkit", "boto3", "jobs", "alembic", "httpx"} & set(sys.modules)
print(*sorted(heavy))
"""


def test_the_web_process_loads_nothing_heavy():
    done = subprocess.run([sys.executable, "-c", _PROGRAM], check=True, capture_output=True, text=True)
    assert done.stdout.split() == []
