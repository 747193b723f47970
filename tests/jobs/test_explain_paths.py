from dataclasses import replace
from pathlib import Path

import pytest

from bot.domain.app import App
from bot.domain.ids import AppId
from bot.errors import UserError
from bot.settings import Settings
from jobs.explain_paths import Verdict, verdicts
from jobs.git import Mirrors
from tests.fakes.contexts import make_app
from tests.fakes.repository import Files, Repository

FILES: Files = {
    "package.json": '{"workspaces": ["apps/*", "packages/*"]}',
    "apps/web/package.json": '{"name": "web", "dependencies": {"ui": "*"}}',
    "packages/ui/package.json": '{"name": "ui"}',
    "docs/x": "1",
    "slipway.toml": "[apps.docs.build]\nroot_directory = 'docs'\n[apps.docs.policy]\npaths = ['!**/*.md']\n",
}


class Desk:
    """A repository of three apps, and its mirror."""

    def __init__(self, tmp_path: Path) -> None:
        self.repository = Repository(tmp_path / "origin.git")
        settings = Settings(home=tmp_path / "home")  # pyright: ignore[reportCallIssue]
        self.mirrors = Mirrors(settings, lambda _: None)
        top = make_app(self.repository.url, slug="top")
        self.apps: list[App] = [
            top,
            replace(top, slug="web", id=AppId(2), root_directory="apps/web"),
            replace(top, slug="docs", id=AppId(3)),
        ]

    def told(self, text: str) -> list[Verdict]:
        self.mirrors.fetch(self.apps[0])
        return verdicts(self.mirrors, self.apps, text)


@pytest.fixture
def desk(tmp_path: Path) -> Desk:
    return Desk(tmp_path)


def test_each_app_is_told_with_its_reason(desk: Desk):
    first = desk.repository.commit(FILES)
    desk.repository.commit({"packages/ui/x": "1", "docs/a.md": "1"}, branch="feature", onto=first)
    assert desk.told("main..feature") == [
        Verdict("top", deploys=True, reason="every change concerns it: it lives at the top."),
        Verdict("web", deploys=True, reason="packages/ui/x: apps/web needs packages/ui."),
        Verdict("docs", deploys=False, reason="packages/ui/x: it is outside of docs."),
    ]


def test_with_three_dots_what_the_other_side_did_does_not_count(desk: Desk):
    first = desk.repository.commit(FILES)
    desk.repository.commit({"docs/b": "1"}, branch="feature", onto=first)
    desk.repository.commit({"packages/ui/x": "1"})
    assert [one.deploys for one in desk.told("main..feature")] == [True, True, True]
    assert [one.deploys for one in desk.told("main...feature")] == [True, False, True]
    assert [one.deploys for one in desk.told(f"{first[:9]}..main")] == [True, True, False]


@pytest.mark.parametrize("text", ["main", "..", "main..", "main..nothing", "--all..main", "main..HEAD@{1}"])
def test_what_is_no_range_is_refused(desk: Desk, text: str):
    desk.repository.commit(FILES)
    with pytest.raises(UserError):
        desk.told(text)
