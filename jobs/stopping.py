"""How work that must end early ends."""


class StoppedError(Exception):
    """The work must end now: it was cancelled, handed back, or its lease was lost."""
