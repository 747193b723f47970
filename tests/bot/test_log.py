import subprocess
import sys
from pathlib import Path

import pytest

FULL = Path("/dev/full")
PROGRAM = """
from bot.log import logger, set_up_logging
set_up_logging("a test")
for _ in range(3):
    logger.error("it can't be written", error="No space left on device")
print("it goes on")
"""


@pytest.mark.skipif(not FULL.exists(), reason="a file that is always full: Linux")
def test_no_work_ends_because_its_log_can_not_be_written():
    with FULL.open("w") as full:
        done = subprocess.run(
            [sys.executable, "-c", PROGRAM], stdout=subprocess.PIPE, stderr=full, text=True, check=False
        )
    assert done.stdout == "it goes on\n"
