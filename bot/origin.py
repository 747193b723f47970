"""Where a browser's request comes from, as far as the browser says."""

from urllib.parse import urlsplit

from starlette.requests import HTTPConnection


def from_this_host(request: HTTPConnection) -> bool | None:
    """Whether a page of this very host sent it; None when the browser does not say.

    A site that is deployed below the same domain counts as the *same site* for cookies, so that
    `SameSite` alone would let it in.
    """
    if (fetched := request.headers.get("sec-fetch-site")) is not None:
        return fetched in ("same-origin", "none")
    if (origin := request.headers.get("origin")) is not None:
        return urlsplit(origin).netloc == request.headers.get("host")
    return None
