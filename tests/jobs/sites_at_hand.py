"""A routing table with some releases, and the words that tests of it share."""

from pathlib import Path

from bot.domain.ids import ReleaseId
from jobs.host_folder import LINK
from jobs.site_entry import Entry
from jobs.sites import Sites

HOST = "a.localhost"


def sites_below(home: Path) -> Sites:
    for number in range(1, 20):
        (home / "releases" / str(number) / "files").mkdir(parents=True)
    return Sites(home)


def show(sites: Sites, activation: int, release: int, *, host: str = HOST) -> None:
    sites.activate(host, activation=activation, release=ReleaseId(release), spa=False, rules=False)


def entry(activation: int, release: int) -> Entry:
    return Entry(activation, ReleaseId(release), spa=False, rules=False)


def names(home: Path, host: str = HOST) -> list[str]:
    """The entries of a host, the newest first."""
    return sorted(path.name for path in (home / "hosts" / host).iterdir() if path.name != LINK)


def led_to(home: Path, host: str = HOST) -> str | None:
    """Which release's files most visitors of a host are served without a look at its entries."""
    link = home / "hosts" / host / "files"
    return link.resolve().parent.name if link.is_symlink() else None
