"""A growing pause for whoever guesses."""

import ipaddress
from collections import OrderedDict
from collections.abc import Callable
from time import monotonic

FREE_ATTEMPTS = 5
LONGEST_PAUSE = 900.0
_MAX_REMEMBERED = 1000


class Attempts:
    """Failed attempts by who made them; after some, each further one doubles the pause before the next.

    Who it was begins with an address. Of IPv6 the network counts (/64): whoever has one has all in it.
    """

    def __init__(self, clock: Callable[[], float] = monotonic) -> None:
        self._clock = clock
        self._failures: OrderedDict[str, tuple[int, float]] = OrderedDict()

    def pause(self, who: str) -> float:
        """Seconds until somebody may try again; 0 when it may now."""
        _count, until = self._failures.get(_guesser(who), (0, 0.0))
        return max(0.0, until - self._clock())

    def failed(self, who: str) -> None:
        """Remember a failed attempt."""
        who = _guesser(who)
        count = self._failures.pop(who, (0, 0.0))[0] + 1
        pause = min(2.0 ** min(count - FREE_ATTEMPTS, 20), LONGEST_PAUSE) if count >= FREE_ATTEMPTS else 0.0
        self._failures[who] = (count, self._clock() + pause)
        if len(self._failures) > _MAX_REMEMBERED:
            self._failures.popitem(last=False)

    def succeeded(self, who: str) -> None:
        """Forget somebody's failures."""
        self._failures.pop(_guesser(who), None)


def _guesser(who: str) -> str:
    address, blank, more = who.partition(" ")
    try:
        found = ipaddress.IPv6Address(address)
    except ValueError:
        return who
    if found.ipv4_mapped is not None:
        return f"{found.ipv4_mapped}{blank}{more}"
    return f"{ipaddress.IPv6Network((int(found), 64), strict=False)}{blank}{more}"
