"""A second deploy with one file of many changed: what grows with the site, and what with the change."""

from itertools import count as counting
from statistics import median

from tests.bench.figures import Report, Target, rounds
from tests.bench.instance import Site, fifty_files, medians, running
from tests.fakes.repository import Files

NAME = "changed"
TITLE = "One file changed, in a site of 50 and in one of 5,000 files"
FILES = 5000


def measure(count: int, _seconds: float) -> Report:
    """Both sites in turns."""
    with running() as slipway:
        large = Site.make(slipway, "large", _files())
        first = large.parts()
        small = Site.make(slipway, "small", fifty_files())
        numbers = counting()
        parts: dict[str, list[dict[str, float]]] = {"small": [], "large": []}

        def push(name: str, site: Site) -> float:
            text = f"version {next(numbers)}"
            seconds = site.deploy(site.change(text), text)
            parts[name].append(site.parts())
            return seconds * 1000

        ways = {"small": lambda: push("small", small), "large": lambda: push("large", large)}
        for way in ways.values():
            way()
        for kept in parts.values():
            kept.clear()
        rounds(count * 2, ways)
    return _report(first, medians(parts["large"]), medians(parts["small"]))


def _report(first: dict[str, float], large: dict[str, float], small: dict[str, float]) -> Report:
    columns = [
        "part",
        f"{FILES:,} files, first, ms",
        f"{FILES:,} files, one changed, ms",
        "50 files, one changed, ms",
    ]
    report = Report(NAME, TITLE, columns)
    for name in large:
        shown = "**push to live**" if name == "live" else name
        report.rows.append([shown, *(f"{one.get(name, 0):.0f}" for one in (first, large, small))])
    each = (large["live"] - small["live"]) / (FILES - 50) * 1000
    report.notes.append(
        f"Each file that did not change costs {each:.0f} µs: git's look at the work tree, the scan's at the "
        "output, and one at the folder that releases share."
    )
    report.targets.append(Target("second deploy, of the first", large["live"] / first["live"], 0.5))
    report.targets.append(Target("per file that did not change", median([each]), 100, " µs"))
    return report


def _files() -> Files:
    page = (
        "<!doctype html><title>page {0}</title>"
        + "<p>Some words of page {0}, which is one of many.</p>\n" * 60
    )
    pages: Files = {f"section-{n % 50}/page-{n}.html": page.format(n) for n in range(FILES - 2)}
    return {**pages, "index.html": "start"}
