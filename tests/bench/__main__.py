"""Measures Slipway beside its peers and lower bounds: `python -m tests.bench [--only NAME]... [--json]`.

`--write docs/performance.md` puts the tables where that file has its markers.
"""

import argparse
import json
import sys
from collections.abc import Callable, Mapping
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path

from tests.bench import api, build, changed, idle, intake, merge, push, rollback, static, stream, webhook
from tests.bench.figures import Report, markdown, plain
from tests.bench.machine import busy_share, description

BENCHMARKS: Mapping[str, Callable[[int, float], Report]] = {
    module.NAME: module.measure
    for module in (webhook, intake, push, merge, changed, build, rollback, static, api, stream, idle)
}
BEGIN, END = "<!-- figures -->\n", "<!-- end of figures -->\n"


def main() -> None:
    """Measure what was asked for."""
    options = _options()
    foreign = busy_share(1.0)
    head = f"{description()}; {foreign:.0%} of it busy with other work; {datetime.now(UTC):%Y-%m-%d}"
    sys.stdout.write(f"{head}\n\n" if not options.json else "")
    reports: list[Report] = []
    for name in options.only or BENCHMARKS:
        report = BENCHMARKS[name](options.rounds, options.seconds)
        reports.append(report)
        if not options.json:
            sys.stdout.write(plain(report) + "\n")
            sys.stdout.flush()
    if options.json:
        told = [asdict(one) | {"met": [target.met for target in one.targets]} for one in reports]
        sys.stdout.write(json.dumps({"machine": head, "reports": told}, indent=2) + "\n")
    if options.write is not None:
        _write(options.write, "\n".join([f"Measured on {head}.\n", *map(markdown, reports)]))


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.bench", description=__doc__)
    parser.add_argument("--only", action="append", choices=list(BENCHMARKS), help="this one; may be repeated")
    parser.add_argument("--json", action="store_true", help="print JSON")
    parser.add_argument("--rounds", type=int, default=5, help="how often each is measured")
    parser.add_argument("--seconds", type=float, default=2.0, help="how long each load lasts")
    parser.add_argument("--write", type=Path, help="a Markdown file whose figures are to be replaced")
    return parser.parse_args()


def _write(path: Path, figures: str) -> None:
    before, _, rest = path.read_text().partition(BEGIN)
    after = rest.partition(END)[2]
    path.write_text(f"{before}{BEGIN}\n{figures}\n{END}{after}")


if __name__ == "__main__":
    main()
