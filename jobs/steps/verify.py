"""The verify step: the edge must answer for the hostname with the release that was just activated."""

import time
from datetime import timedelta

import httpx

from bot.clock import utc_now
from bot.domain.ids import AppId, ReleaseId
from bot.errors import ErrorCode, PlatformError
from bot.settings import Settings
from bot.share import PLAIN_COOKIE, SIGNED_IN, open_signer
from jobs.steps.context import Context

PATIENCE_SECONDS = 15.0
"""An edge that was killed is back within a second or two."""
_PAUSE_SECONDS = 0.05
_VISIT = timedelta(minutes=5)


def run(context: Context, release: ReleaseId, *, patience: float = PATIENCE_SECONDS) -> None:
    """Ask the edge until it answers with the release. Raises `PlatformError` when it does not in time."""
    hostname = context.environment.hostname
    deadline = time.monotonic() + patience
    with _client(context.settings, hostname, context.app.id) as client:
        while (seen := _release_at(client)) != str(release):
            context.check()
            if time.monotonic() > deadline:
                raise PlatformError(
                    ErrorCode.EDGE_SILENT, hostname=hostname, expected=str(release), got=seen or "no answer"
                )
            time.sleep(_PAUSE_SECONDS)
    context.log.say("verify", f"The edge serves release {release} at {hostname}.")


def _client(settings: Settings, hostname: str, app: AppId) -> httpx.Client:
    # Where the site is protected, we come as somebody who signed in.
    cookie = open_signer(settings).cookie(hostname, app, SIGNED_IN, utc_now() + _VISIT)
    # The answer is checked for the release, not for the certificate: that may not be issued yet.
    return httpx.Client(
        base_url=settings.edge_url,
        headers={"Host": hostname, "Cookie": f"{PLAIN_COOKIE}={cookie}"},
        timeout=2.0,
        verify=False,  # noqa: S501
        trust_env=False,
    )


def _release_at(client: httpx.Client) -> str | None:
    extensions = {"sni_hostname": client.headers["Host"]}
    try:
        return client.head("/", extensions=extensions).headers.get("X-Slipway-Release")
    except httpx.HTTPError:
        return None
