from datetime import UTC, datetime

from hypothesis import given
from hypothesis import strategies as st

from bot.domain.ids import AppId, DeploymentId, Digest, ReleaseId, Sha
from bot.domain.release import Release, releases_to_keep
from bot.domain.trust import Trust


def _release(identity: int, app: int, trust: Trust = Trust.FULL) -> Release:
    return Release(
        id=ReleaseId(identity),
        app_id=AppId(app),
        number=identity,
        name="",
        key=Digest(""),
        manifest=Digest(""),
        sha=Sha(""),
        files=1,
        size=1,
        spa=False,
        deployment_id=DeploymentId(1),
        created_at=datetime(2026, 1, 1, tzinfo=UTC),
        trust=trust,
    )


def test_live_ones_and_the_newest_others_of_each_app_are_kept():
    releases = [_release(number, app=number % 2) for number in range(1, 11)]
    assert releases_to_keep(releases, {ReleaseId(1), ReleaseId(10)}, 2) == {1, 10, 9, 7, 8, 6}


@given(
    apps=st.lists(st.integers(1, 3), max_size=20),
    live=st.sets(st.integers(1, 20).map(ReleaseId)),
    keep=st.integers(1, 5),
)
def test_every_live_one_and_never_more_than_asked_for(apps: list[int], live: set[ReleaseId], keep: int):
    releases = [_release(at + 1, app) for at, app in enumerate(apps)]
    kept = releases_to_keep(releases, live, keep)
    assert live & {release.id for release in releases} <= kept
    for app in set(apps):
        spare = [release.id for release in releases if release.app_id == app and release.id not in live]
        assert sorted(kept & set(spare)) == sorted(spare)[-keep:]


def test_whatever_strangers_make_leaves_what_production_may_roll_back_to():
    own = [_release(number, 1) for number in (1, 2)]
    strange = [_release(number, 1, Trust.STRANGER) for number in range(3, 30)]
    assert releases_to_keep([*own, *strange], set(), 2) == {1, 2, 28, 29}
