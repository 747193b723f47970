"""Makes the one comment on a pull request say what is true of all its apps."""

from dataclasses import dataclass
from datetime import timedelta

from bot.change import Change
from bot.clock import Clock
from bot.comment import MARKER, Answer, AnswerLine, HeldRow, PullComment, Row, SkippedRow, body, next_shown
from bot.domain.app import App
from bot.domain.deployment import Deployment, Hold, State
from bot.domain.duration import spoken as in_words
from bot.domain.environment import Environment
from bot.domain.ids import AppId, reference
from bot.domain.protection import Protection
from bot.domain.pull import PullNumber, preview_name
from bot.github.client import GitHub
from bot.github.comments import PullComments
from bot.github.errors import RetryLaterError
from bot.intake.recipe import policy_from_json
from bot.intake.recipe_file import Policy
from bot.markdown import plain
from bot.preview_sharing import address, comment_link, furnish_comment, is_in_comments, lacks_link
from bot.previews import protection_of
from bot.settings import Settings
from bot.share import open_signer
from bot.store import apps, comments, deployments, environments, spoken
from bot.store.engine import Engine, Tx, reading, writing
from bot.store.spoken import Pull
from jobs.entitled import kin
from jobs.saying import says
from jobs.turns import TakenError, Turn

_PATIENCE = 5.0
_AGAIN_SECONDS = 5.0
_COMMANDS = ("/redeploy", "/help")
"""Those that the comment names."""


@dataclass(frozen=True)
class Commenting:
    """What commenting needs."""

    engine: Engine
    github: GitHub
    settings: Settings
    clock: Clock


@dataclass(frozen=True)
class _Place:
    """One app's preview of the pull request, and what was last asked for there."""

    app: App
    environment: Environment
    newest: Deployment
    policy: Policy


def is_wanted(tx: Tx, app: App) -> bool:
    """Whether an app's pull requests are to be told of anything at all, be it by a status."""
    return _policy(tx, app).previews.comment != "off"


def show(tools: Commenting, app: App, number: PullNumber) -> None:
    """Bring the comment up to date, unless it is already. Raises `GitHubError`.

    Writers of one comment take turns, so that there is never a second one.
    """
    if app.repository_id is None:
        return
    with reading(tools.engine) as tx:
        first = keeper(tx, app)
    turn = Turn(tools.engine, tools.clock, f"comment-{first}-{number}")
    try:
        with turn.taken(_PATIENCE):
            _show(tools, app, first, number)
    except TakenError:
        raise RetryLaterError(_AGAIN_SECONDS, "another process writes this comment now") from None


def keeper(tx: Tx, app: App) -> AppId:
    """The app under which the comments of one are kept that it shares with others."""
    return min((one.id for one in _neighbours(tx, app)), default=app.id)


def _show(tools: Commenting, app: App, first: AppId, number: PullNumber) -> None:
    _furnish_links(tools, app, number)
    with reading(tools.engine) as tx:
        known, before = comments.get(tx, first, number)
        comment = comment_of(tx, app, number, tools.settings)
    shown = next_shown(comment, before) if before or comment.is_worth_it else None
    if shown is None:
        return
    if before is not None:
        # Whether a write that is cut off here was carried out can only be read from GitHub.
        with writing(tools.engine) as tx:
            comments.doubt(tx, first, number)
    in_doubt = before is not None and not before.digest
    writer = PullComments(tools.github.repository(app), number)
    made = writer.put(known, body(comment), MARKER, in_doubt=in_doubt)
    with writing(tools.engine) as tx:
        comments.keep(tx, first, number, comment=made, shown=shown)


def _furnish_links(tools: Commenting, app: App, number: PullNumber) -> None:
    """Make the share links that the comment is to carry and lacks."""
    now = tools.clock()
    with reading(tools.engine) as tx:
        lacking = [
            (one, environment)
            for one in _neighbours(tx, app)
            if (environment := environments.by_name(tx, one.id, preview_name(number)))
            and lacks_link(tx, one, environment, now)
        ]
    if lacking:
        with writing(tools.engine) as tx:
            for one, environment in lacking:
                furnish_comment(Change(tx, now), one, environment)


def comment_of(tx: Tx, app: App, number: PullNumber, settings: Settings) -> PullComment:
    """What there is to say about a pull request, for every app of its repository that may comment."""
    places = [
        place
        for one in _neighbours(tx, app)
        if (place := _place(tx, one, number)) and place.policy.previews.comment == "comment"
    ]
    rows = [_row(tx, one, settings) for one in places if not _is_held(one) and not _is_skipped(one)]
    held = [_held(one) for one in places if _is_held(one)]
    skipped = [SkippedRow(one.app.slug, one.newest.reason) for one in places if _is_skipped(one)]
    return PullComment(
        rows,
        held,
        skipped,
        notes=_notes(tx, places),
        commands=_COMMANDS,
        answer=_answer(tx, app, number),
    )


def _answer(tx: Tx, app: App, number: PullNumber) -> Answer | None:
    """What there is to say to whoever wrote commands last."""
    assert app.repository_id is not None
    siblings = _neighbours(tx, app)
    talking = {one.id: one.slug for one in siblings if _policy(tx, one).previews.comment == "comment"}
    place = Pull(app.repository_id, number, [one.id for one in siblings])
    last = [one for one in spoken.newest_allowed(tx, place) if one.app_id in talking]
    said = [(one, answer) for one in last for answer in one.answers if answer.is_answer]
    if not said:
        return None
    several = len(siblings) > 1
    lines = [
        AnswerLine(answer.word, answer.text, talking[one.app_id] if several else None)
        for one, answer in said
        if answer.text
    ]
    helps = any(answer.helps for _, answer in said)
    return Answer(last[0].author, last[0].comment_id, list(dict.fromkeys(lines)), helps=helps)


def _neighbours(tx: Tx, app: App) -> list[App]:
    """The apps of a repository that share the comments which one of them writes, itself among them."""
    assert app.repository_id is not None
    return kin(tx, app, apps.of_repository(tx, app.repository_id, app.repository))


def _place(tx: Tx, app: App, number: PullNumber) -> _Place | None:
    environment = environments.by_name(tx, app.id, preview_name(number))
    newest = deployments.newest(tx, environment.id) if environment else None
    if environment is None or newest is None:
        return None
    return _Place(app, environment, newest, _policy(tx, app))


def _policy(tx: Tx, app: App) -> Policy:
    return policy_from_json(apps.policy(tx, app.id)) or Policy()


def _is_held(place: _Place) -> bool:
    return place.newest.state is State.HELD and place.newest.hold is Hold.APPROVAL


def _is_skipped(place: _Place) -> bool:
    # A preview of an earlier commit that is still served is worth its row.
    return place.newest.state is State.SKIPPED and not _is_served(place)


def _is_served(place: _Place) -> bool:
    return place.environment.active_release_id is not None and place.environment.archived_at is None


def _row(tx: Tx, place: _Place, settings: Settings) -> Row:
    newest, environment = place.newest, place.environment
    gone = environment.archived_at is not None
    said = environment.archive_reason or "taken down" if gone else says(tx, newest, "the preview")
    return Row(
        app=place.app.slug,
        deployment=newest.id,
        state=newest.state,
        says=said,
        sha=newest.sha,
        commit_url=f"{settings.github_url.rstrip('/')}/{place.app.repository}/commit/{newest.sha}",
        page=f"{settings.url}/deployments/{reference(newest.id)}",
        url=settings.site_url(environment.hostname) if _is_served(place) else None,
        link=_link(tx, place, settings) if _is_served(place) else None,
        took=_took(newest),
        gone=gone,
    )


def _link(tx: Tx, place: _Place, settings: Settings) -> str | None:
    """Where a click leads that also opens a protected preview."""
    if not is_in_comments(tx, place.app):
        return None
    link = comment_link(tx, place.environment)
    return address(settings, open_signer(settings), place.environment, link) if link is not None else None


def _took(deployment: Deployment) -> timedelta | None:
    if deployment.started_at is None or deployment.finished_at is None:
        return None
    return deployment.finished_at - deployment.started_at


def _held(place: _Place) -> HeldRow:
    newest = place.newest
    return HeldRow(place.app.slug, newest.sha, newest.reason, newest.id, f"/approve {newest.sha[:7]}")


def _notes(tx: Tx, places: list[_Place]) -> list[str]:
    served = [one for one in places if _is_served(one)]
    locks = [_lock_note(one) for one in places if one.environment.lock is not None]
    if not served:
        return locks
    rules = [one.policy.previews for one in served]
    age = in_words(min(one.gone_after for one in rules))
    idle, limit = in_words(min(one.idle_after for one in rules)), min(one.limit for one in rules)
    chosen = sorted({one.environment.expires_at for one in served if one.environment.expires_at is not None})
    ends = (
        f"on {chosen[0]:%Y-%m-%d %H:%M} UTC, as somebody set it" if chosen else f"after {age} at the latest"
    )
    return [
        *locks,
        f"Previews are taken down when the pull request closes, and {ends}.",
        f"Without a visit or a push for {idle} they sleep, and wake at the next.",
        f"An app has at most {limit}; the longest unused makes room.",
        *_said_of_protection(tx, served),
    ]


def _said_of_protection(tx: Tx, served: list[_Place]) -> list[str]:
    kinds = {protection_of(tx, one.app) for one in served}
    if kinds == {Protection.OFF}:
        return []
    if all(is_in_comments(tx, one.app) for one in served):
        return ["They are protected: the links here let in whoever has them."]
    return ["They are protected: sign in, or ask for a share link."]


def _lock_note(place: _Place) -> str:
    return f"{plain(place.app.slug)} is {plain(str(place.environment.lock), 300)}."
