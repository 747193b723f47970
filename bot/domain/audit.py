"""What the audit log remembers of one change (pure)."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from bot.domain.ids import AppId, TenantId


@dataclass(frozen=True)
class Act:
    """A change that somebody made. Names stand in it, never the values of secrets."""

    action: str
    """What was done, such as `preview.approved`, or an operation of the API."""
    actor: str
    """Who did it, as people know them: an e-mail address, a login of GitHub's."""
    actor_key: str
    """Who did it, unmistakably: `token:12`, `github:mona`, `operator`."""
    origin: str = ""
    """From where: an address, `delivery <guid>`, `command line`."""
    tenant_id: TenantId | None = None
    app_id: AppId | None = None
    subject: str = ""
    """What it was done to: `DEP-12`, `variable DATABASE_URL`."""
    before: Mapping[str, Any] = field(default_factory=dict[str, Any])
    after: Mapping[str, Any] = field(default_factory=dict[str, Any])
