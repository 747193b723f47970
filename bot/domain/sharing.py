"""A share link: lets whoever has it see a protected preview, or every preview of an app."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

from bot.domain.ids import AppId, EnvironmentId, ShareLinkId

DEFAULT_LIFE = timedelta(days=7)
LONGEST_LIFE = timedelta(days=90)


class Purpose(StrEnum):
    """Whom a link was made for: a person who asked, or the comment on a pull request."""

    PERSON = "person"
    COMMENT = "comment"


@dataclass(frozen=True)
class ShareLink:
    """One link. It is good for one environment, or without one for all previews of its app."""

    id: ShareLinkId
    app_id: AppId
    environment_id: EnvironmentId | None
    purpose: Purpose
    note: str
    created_by: str
    created_at: datetime
    expires_at: datetime
    revoked_at: datetime | None

    @property
    def scope(self) -> str:
        """What it opens, as its signature covers it: `e12` an environment, `a7` an app's previews."""
        return scope_of(self.app_id, self.environment_id)


def scope_of(app: AppId, environment: EnvironmentId | None) -> str:
    """What a link for an environment, or for all previews of an app, opens."""
    return f"a{app}" if environment is None else f"e{environment}"
