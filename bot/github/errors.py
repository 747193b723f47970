"""What can go wrong between Slipway and GitHub. None of these ever fails a deployment."""


class GitHubError(Exception):
    """GitHub did not do what it was asked to; the text says why in a sentence."""


class UnreachableError(GitHubError):
    """GitHub could not be reached, did not answer in time, or had a fault of its own (5xx)."""


class RetryLaterError(GitHubError):
    """GitHub, or our own pacing, wants us to wait: `seconds` from now."""

    def __init__(self, seconds: float, reason: str) -> None:
        self.seconds = seconds
        self.reason = reason
        super().__init__(f"{reason}; again in {seconds:.0f} s")


class RejectedError(GitHubError):
    """GitHub answered and said no. Asking again helps only after somebody changed something."""


class NotFoundError(RejectedError):
    """There is no such thing, or we may not see it (GitHub answers both with 404)."""


class ForbiddenError(RejectedError):
    """A permission is missing; the text names it where GitHub does."""


class SuspendedError(ForbiddenError):
    """The installation of the GitHub App is suspended."""


class NotEntitledError(RejectedError):
    """It is we who say no: the tenant may not use the sign-in that this takes."""


class SignInError(RejectedError):
    """The token or the App's key was not accepted."""
