import os
from collections.abc import Generator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from pydantic import SecretStr

from bot.domain.app import App
from bot.domain.ids import AppId, ProjectId, Sha, TenantId
from bot.github.client import CommitStatus, DeploymentRequest, GitHub, connect
from bot.github.errors import (
    ForbiddenError,
    NotFoundError,
    RejectedError,
    RetryLaterError,
    SignInError,
    SuspendedError,
    UnreachableError,
)
from bot.github.pacing import Pacing, Window
from bot.github.states import StatusState
from bot.github.wire import Patience
from bot.settings import Settings
from tests.fakes.github import FakeGitHub

SHA = Sha("a" * 40)
STATUS = CommitStatus(
    SHA,
    "slipway/shop/production",
    StatusState.PENDING,
    "Deploying",
    "http://localhost:8000/deployments/DEP-1",
)
CREATION = DeploymentRequest(SHA, "shop/production", "Deploying", {"slipway": "DEP-1"}, True, False)
SHORT = Patience(connect=0.3, total=0.6, pauses=(0.01, 0.02))


def as_app(fake: FakeGitHub, **more: Any) -> Settings:
    key = SecretStr(fake.world.pem)
    given: dict[str, Any] = {
        "github_app_id": fake.world.app_id,
        "github_private_key": key,
        "github_api_url": fake.url,
    }
    return Settings.model_validate(given | more)


def app_of(installation: int | None = 9, **more: Any) -> App:
    fields: dict[str, Any] = {
        "id": AppId(1),
        "tenant_id": TenantId(1),
        "project_id": ProjectId(1),
        "slug": "shop",
        "repository": "acme/shop",
        "repository_id": 1,
        "clone_url": "https://github.com/acme/shop.git",
        "installation_id": installation,
        "production_branch": "main",
        "root_directory": "",
        "build_command": None,
        "output_directory": None,
        "enabled": True,
        "created_at": datetime(2026, 1, 1, tzinfo=UTC),
    }
    return App(**(fields | more))


@pytest.fixture
def github(fake: FakeGitHub) -> Generator[GitHub]:
    github = connect(as_app(fake), patience=SHORT)
    yield github
    github.session.close()


def test_an_app_sets_a_status_and_mints_one_token_for_many_calls(fake: FakeGitHub, github: GitHub):
    for _ in range(3):
        github.repository(app_of()).set_status(STATUS)
    assert len(fake.world.repositories["acme/shop"].statuses) == 3
    assert fake.world.minted == 1
    (token,) = fake.world.tokens.values()
    assert token.repositories == {"acme/shop"}
    assert token.permissions == {"deployments": "write", "statuses": "write"}
    assert 500 < len(next(iter(fake.world.tokens))) < 560


def test_a_private_key_may_be_a_file_and_the_api_may_lie_below_a_path(tmp_path: Path):
    with FakeGitHub(base_path="/api/v3").running() as fake:
        fake.add_repository("acme/shop")
        (tmp_path / "key.pem").write_text(fake.world.pem)
        settings = as_app(fake, github_private_key=None, github_private_key_file=tmp_path / "key.pem")
        github = connect(settings, patience=SHORT)
        github.repository(app_of(None)).set_status(STATUS)
        assert fake.status_of("acme/shop", SHA, "slipway/shop/production") == ("pending", "Deploying")
        github.session.close()
        fake.assert_nothing_unexpected()


def test_a_token_does_instead_of_an_app(fake: FakeGitHub):
    github = connect(
        Settings.model_validate({"github_token": fake.add_token(), "github_api_url": fake.url}),
        patience=SHORT,
    )
    github.repository(app_of(None)).set_status(STATUS)
    assert github.is_set
    assert github.git_token(app_of(None)) == next(iter(fake.world.tokens))
    assert fake.requests == [f"POST /repos/acme/shop/statuses/{SHA}"]
    github.session.close()


def test_with_neither_nothing_is_set():
    github = connect(Settings.model_validate({}))
    assert not github.is_set
    assert github.git_token(app_of()) is None


def test_a_token_for_git_reads_one_repository_and_goes_to_no_other_host(fake: FakeGitHub, github: GitHub):
    token = github.git_token(app_of())
    assert token is not None
    assert fake.world.tokens[token].permissions == {"contents": "read"}
    assert fake.world.tokens[token].repositories == {"acme/shop"}
    for elsewhere in ("https://github.com.evil.example/acme/shop.git", "file:///srv/shop.git"):
        assert github.git_token(app_of(clone_url=elsewhere)) is None


def test_a_revoked_token_is_minted_anew_once(fake: FakeGitHub, github: GitHub):
    repository = github.repository(app_of())
    repository.set_status(STATUS)
    fake.revoke_tokens()
    repository.set_status(STATUS)
    assert len(fake.world.repositories["acme/shop"].statuses) == 2
    assert fake.world.minted == 2
    fake.fail_next(2, 401, message="Bad credentials", path="statuses")
    with pytest.raises(SignInError):
        repository.set_status(STATUS)
    assert fake.world.minted == 3


def test_a_token_that_ends_soon_is_not_used(fake: FakeGitHub, github: GitHub):
    fake.world.token_life = timedelta(minutes=5)
    github.repository(app_of()).set_status(STATUS)
    fake.world.token_life = timedelta(minutes=-5)
    github.git_token(app_of())
    fake.world.token_life = timedelta(hours=1)
    github.repository(app_of()).set_status(STATUS)
    assert fake.world.minted == 3


def test_a_wrong_key_is_said_so(fake: FakeGitHub):
    github = connect(as_app(fake, github_private_key=SecretStr("no key")), patience=SHORT)
    with pytest.raises(SignInError, match="private key"):
        github.repository(app_of()).set_status(STATUS)
    github.session.close()


def test_an_app_installed_anew_is_found_by_its_repository(fake: FakeGitHub, github: GitHub):
    github.repository(app_of(installation=3)).set_status(STATUS)
    assert fake.status_of("acme/shop", SHA, "slipway/shop/production")
    fake.add_repository("acme/other", 2, installation=None)
    with pytest.raises(NotFoundError):
        github.repository(app_of(None, repository="acme/other", repository_id=2)).set_status(STATUS)


def test_a_suspended_installation(fake: FakeGitHub, github: GitHub):
    fake.suspend()
    with pytest.raises(SuspendedError):
        github.repository(app_of()).set_status(STATUS)
    fake.suspend(suspended=False)
    github.repository(app_of()).set_status(STATUS)


def test_a_missing_permission_is_refused_with_github_s_words(fake: FakeGitHub, github: GitHub):
    del fake.world.installations[9].permissions["deployments"]
    with pytest.raises(RejectedError, match="permissions requested"):
        github.repository(app_of()).set_status(STATUS)
    fake.fail_next(
        1, 403, message="Resource not accessible", headers={"X-Accepted-GitHub-Permissions": "statuses=write"}
    )
    with pytest.raises(ForbiddenError, match="statuses=write"):
        github.repository(app_of()).set_status(STATUS)


def test_an_unknown_commit_is_refused(fake: FakeGitHub, github: GitHub):
    fake.world.repositories["acme/shop"].commits = set()
    with pytest.raises(RejectedError, match="No commit found"):
        github.repository(app_of()).set_status(STATUS)


@pytest.mark.parametrize(
    ("limit", "least", "most"),
    [
        ({"retry_after": 30}, 30, 30),
        ({"reset_in": 1800}, 1790, 1802),
        ({"secondary": True}, 60, 60),
        ({"secondary": True, "retry_after": 0}, 1, 1),
    ],
)
def test_a_limit_is_no_sleep_but_an_answer(
    fake: FakeGitHub, github: GitHub, limit: dict[str, Any], least: float, most: float
):
    fake.limit(**limit)
    with pytest.raises(RetryLaterError) as caught:
        github.repository(app_of()).set_status(STATUS)
    assert least <= caught.value.seconds <= most
    before = len(fake.requests)
    with pytest.raises(RetryLaterError):
        github.repository(app_of()).set_status(STATUS)
    assert len(fake.requests) == before, "GitHub is left in peace"


def test_a_bare_429_and_a_date_in_retry_after(fake: FakeGitHub, github: GitHub):
    fake.fail_next(1, 429, message="Too many", headers={"Retry-After": "Fri, 31 Dec 2026 23:59:59 GMT"})
    with pytest.raises(RetryLaterError) as caught:
        github.repository(app_of()).set_status(STATUS)
    assert caught.value.seconds == 60


def test_reads_are_repeated_and_writes_never(fake: FakeGitHub, github: GitHub):
    repository = github.repository(app_of())
    fake.fail_next(2, 502, methods=("GET",))
    assert repository.find_deployment(CREATION) is None
    fake.fail_next(1, 502, path="/deployments")
    before = len(fake.requests)
    with pytest.raises(UnreachableError):
        repository.create_deployment(CREATION)
    assert len(fake.requests) == before + 1
    fake.fail_next(1, 502, path="access_tokens")
    assert github.git_token(app_of())


def test_a_write_that_was_carried_out_without_an_answer_is_found(fake: FakeGitHub, github: GitHub):
    repository = github.repository(app_of())
    fake.fail_next(1, 502, after=True, path="/deployments")
    with pytest.raises(UnreachableError):
        repository.create_deployment(CREATION)
    assert repository.find_deployment(CREATION) == fake.world.repositories["acme/shop"].deployments[0]["id"]


@pytest.mark.parametrize("path", ["access_tokens", "statuses"])
def test_a_github_that_hangs_is_given_up_in_time(fake: FakeGitHub, github: GitHub, path: str):
    fake.hang(30, path=path)
    started = datetime.now(UTC)
    with pytest.raises(UnreachableError, match="in time"):
        github.repository(app_of()).set_status(STATUS)
    assert datetime.now(UTC) - started < timedelta(seconds=2)


def test_nobody_listens(fake: FakeGitHub):
    github = connect(as_app(fake, github_api_url="http://127.0.0.1:9"), patience=SHORT)
    with pytest.raises(UnreachableError, match="could not be reached"):
        github.repository(app_of()).set_status(STATUS)
    github.session.close()


def test_an_answer_that_is_no_json(fake: FakeGitHub, github: GitHub):
    fake.fail_next(1, 200, message="nothing useful", path="access_tokens")
    with pytest.raises(UnreachableError, match="could not be read"):
        github.repository(app_of()).set_status(STATUS)


def test_a_forked_child_speaks_over_connections_of_its_own(fake: FakeGitHub, github: GitHub):
    github.repository(app_of()).set_status(STATUS)
    child = os.fork()
    if child == 0:
        github.repository(app_of()).set_status(STATUS)
        os._exit(0)
    assert os.waitpid(child, 0)[1] == 0
    github.repository(app_of()).set_status(STATUS)
    assert len(fake.world.repositories["acme/shop"].statuses) == 3


def test_writes_above_the_pace_are_put_off(fake: FakeGitHub):
    pacing = Pacing(None, (Window(60, 2),))
    github = connect(as_app(fake), pacing, patience=SHORT)
    repository = github.repository(app_of())
    repository.set_status(STATUS)
    repository.set_status(STATUS)
    with pytest.raises(RetryLaterError, match="paced") as caught:
        repository.set_status(STATUS)
    assert 50 < caught.value.seconds <= 60
    github.session.close()
