"""Share links of protected previews: made, revoked, and written as addresses."""

from collections.abc import Sequence
from datetime import datetime, timedelta

from bot.change import Change
from bot.domain.app import App
from bot.domain.audit import Act
from bot.domain.environment import Environment, EnvironmentKind, app_of_release
from bot.domain.protection import Protection
from bot.domain.sharing import LONGEST_LIFE, Purpose, ShareLink
from bot.previews import end_of, protection_of, rules_of
from bot.settings import Settings
from bot.share import PARAMETER, Signer
from bot.store import apps, audit, environments, share_links
from bot.store.engine import Tx
from bot.store.share_links import NewShareLink

COMMENT = "the comment on the pull request"
"""Who made a link that stands there."""
# What is left of a link's time when the comment gets another.
_RENEWED = timedelta(days=1)


def share(change: Change, new: NewShareLink) -> ShareLink:
    """Make a link; its life is cut to the longest that one may have."""
    ends = min(new.expires_at, change.now + LONGEST_LIFE)
    made = NewShareLink(new.app_id, new.environment_id, new.purpose, new.created_by, ends, new.note)
    return share_links.insert(change.tx, made, change.now)


def revoke(change: Change, links: Sequence[ShareLink]) -> None:
    """End links at once, and what visitors were let in by them. A comment that has one gets another."""
    share_links.revoke(change.tx, [one.id for one in links], change.now)
    change.reroutes = True
    for one in links:
        if one.purpose is Purpose.COMMENT and one.environment_id is not None:
            shown = environments.get(change.tx, one.environment_id).active_deployment_id
            if shown is not None:
                change.touch(shown)


def address(settings: Settings, signer: Signer, environment: Environment, link: ShareLink) -> str:
    """The address that lets whoever opens it see a preview."""
    return f"{settings.site_url(environment.hostname)}/?{PARAMETER}={signer.link(link)}"


def app_of(tx: Tx, hostname: str, domain: str) -> App | None:
    """The app that a hostname belongs to: an environment's, or a release's `<12 digits>-<app>`."""
    app = environments.app_of_hostname(tx, hostname)
    if app is not None:
        return apps.find(tx, app)
    slug = app_of_release(hostname.removesuffix(f".{domain}"))
    return apps.by_slug(tx, slug) if slug is not None else None


def is_in_comments(tx: Tx, app: App) -> bool:
    """Whether comments carry share links: where links count, and members alone can read the comments."""
    return app.private is True and protection_of(tx, app) is Protection.LINK


def comment_link(tx: Tx, environment: Environment) -> ShareLink | None:
    """The link that stands in the comment, if there is one that still opens the preview."""
    found = share_links.of_comment(tx, environment.id)
    return found if found is not None and found.revoked_at is None else None


def lacks_link(tx: Tx, app: App, environment: Environment, now: datetime) -> bool:
    """Whether the comment is to carry a link for a preview and has none, or none that lasts."""
    if environment.kind is not EnvironmentKind.PREVIEW or environment.archived_at is not None:
        return False
    if not is_in_comments(tx, app):
        return False
    known = comment_link(tx, environment)
    return known is None or known.expires_at <= now + _RENEWED


def furnish_comment(change: Change, app: App, environment: Environment) -> None:
    """Make the link that the comment on a pull request is to carry, unless it has one that lasts."""
    if not lacks_link(change.tx, app, environment, change.now):
        return
    end = end_of(environment, rules_of(change.tx, app)) or change.now
    life = max(end, change.now + 2 * _RENEWED)
    made = share(change, NewShareLink(app.id, environment.id, Purpose.COMMENT, COMMENT, life))
    act = Act(
        action="share-link.create",
        actor="slipway",
        actor_key="slipway",
        origin=COMMENT,
        tenant_id=app.tenant_id,
        app_id=app.id,
        subject=f"share link {made.id} of {environment.name}",
    )
    audit.record(change.tx, act, change.now)
