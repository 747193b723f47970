"""Server-Sent Events, as far as Slipway sends them (https://html.spec.whatwg.org/multipage/server-sent-events.html)."""

import json
from collections.abc import Iterable, Iterator
from typing import Any

_END = b"\n\n"


def events(chunks: Iterable[bytes]) -> Iterator[dict[str, Any]]:
    """The JSON object of each event; what is cut at the end is left out.

    Lines end at line feeds alone: logs have other characters that Python calls ends of lines.
    """
    rest = b""
    for chunk in chunks:
        *whole, rest = (rest + chunk).split(_END)
        for event in whole:
            data = [line[5:].strip() for line in event.split(b"\n") if line.startswith(b"data:")]
            if data:
                yield json.loads(b"\n".join(data))
