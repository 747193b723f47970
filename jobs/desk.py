"""Does one errand at once, for the command line: `python -m jobs.desk ID`."""

import sys

from bot import program
from bot.log import set_up_logging
from bot.settings import Settings
from jobs.workshop import furnish


def main() -> None:
    """Do the errand of the first argument."""
    set_up_logging("errand")
    furnish(Settings()).errand(int(sys.argv[1]))


if __name__ == "__main__":
    program.run(main)
