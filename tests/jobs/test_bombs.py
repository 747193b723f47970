"""Commits of a few hundred bytes and terabytes of files: whoever opens a pull request may push one."""

import time
from dataclasses import replace
from pathlib import Path

import pytest

from bot.domain.ids import Sha
from bot.errors import ErrorCode, UserError
from bot.settings import Settings
from jobs.git import Mirrors
from jobs.scopes import manifests_in
from jobs.steps import checkout
from tests.fakes.contexts import make_app, make_context
from tests.fakes.repository import Repository

pytestmark = pytest.mark.slow

SECONDS = 15
"""Until a bomb is seen for what it is; git itself would go on for hours."""


class Field:
    """A repository with a bomb in it, and an app that lives in a folder beside."""

    def __init__(self, folder: Path) -> None:
        self.home = folder / "home"
        self.repository = Repository(folder / "origin.git")
        self.first = self.repository.commit({"site/index.html": "hello", "package.json": "{}"})
        self.app = make_app(self.repository.url)
        self.settings = Settings(home=self.home, fork_disk=16)  # pyright: ignore[reportCallIssue]
        self.mirrors = Mirrors(self.settings, lambda _: None)

    def fetched(self, sha: Sha) -> Sha:
        self.mirrors.fetch_commit(self.app, self.first)
        self.mirrors.fetch_commit(self.app, sha)
        return sha

    def check_out(self, sha: Sha, *, from_fork: bool) -> None:
        context = make_context(self.home, self.app, sha)
        deployment = replace(context.deployment, from_fork=from_fork)
        checkout.run(replace(context, deployment=deployment, settings=self.settings), self.mirrors)

    def refused(self, sha: Sha, *, from_fork: bool = True) -> UserError:
        began = time.monotonic()
        with pytest.raises(UserError) as caught:
            self.check_out(sha, from_fork=from_fork)
        assert not from_fork or time.monotonic() - began < SECONDS
        assert not list((self.home / "trees").rglob("d0"))
        return caught.value


@pytest.fixture
def field(tmp_path: Path) -> Field:
    return Field(tmp_path)


def test_a_stranger_s_commit_of_countless_files_is_refused_by_name(field: Field):
    error = field.refused(field.repository.bomb(9))
    assert (error.code, error.facts["limit"]) == (ErrorCode.COMMIT_TOO_LARGE, 16)


def test_a_stranger_s_commit_of_large_files_is_refused_by_name(field: Field):
    blob = b"0" * 3_000_000
    sha = field.repository.commit({f"d0/{name}": blob for name in range(8)}, branch="large")
    assert field.refused(sha).code is ErrorCode.COMMIT_TOO_LARGE
    # What is a stranger's to have, and what is one's own.
    field.check_out(field.repository.commit({"d0/a": blob}, branch="small"), from_fork=True)
    field.check_out(sha, from_fork=False)


def test_whoever_decides_does_not_count_to_the_end(field: Field):
    bomb = field.fetched(field.repository.bomb(9))
    began = time.monotonic()
    assert field.mirrors.changed(field.app, field.first, bomb) is None
    assert manifests_in(field.mirrors, field.app, bomb).unread
    assert time.monotonic() - began < SECONDS


def test_a_message_that_nobody_can_read_to_its_end_is_not_read(field: Field):
    sha = field.fetched(field.repository.commit({"a": "1"}, "x" * 3_000_000, branch="talks"))
    assert field.mirrors.message(field.app, sha) == ""
    with field.mirrors.kept_open():
        assert field.mirrors.message(field.app, sha) == ""
    assert field.mirrors.message(field.app, field.first) == "a change"


@pytest.mark.long
@pytest.mark.timeout(300)
def test_one_s_own_bomb_takes_no_more_memory_than_git_may_have(field: Field):
    error = field.refused(field.repository.bomb(9), from_fork=False)
    assert error.code is ErrorCode.CHECKOUT_REFUSED
    assert "memory" in str(error.facts["detail"])
