"""A deployment's log: numbered lines, redacted at the pipe, live in a Redis stream, archived at the end.

A line is one JSON object, the same in the spool, the stream and the archive (`bot.logs.line.Line`):

    {"n": 17, "at": "2026-01-31T12:00:00.123Z", "step": "build", "stream": "stdout", "text": "..."}

`n` counts from 1 over all attempts of the deployment and only grows; numbers are missing where the
middle of a log was cut. `stream` is `slipway`, `stdout` or `stderr`. `text` has no control characters
but tabs, no colours, and at most 16 KiB of letters.

- **Spool** `$HOME/logs/spool/<deployment id>.jsonl` and, when the log outgrew half of its size, parts
  `<deployment id>.jsonl.<k>`: written at once, on the machine that works.
- **Stream** `slipway:log:<deployment id>` in Redis, for following: an entry per line with the id
  `<n>-0` and one field `line`, the JSON object. So the cursor of a reader is a line number: read from
  `(<after>-0`, or XREAD with `<after>-0`. When an attempt has ended for good, an entry with the id
  `<last n>-1` and one field `done`, the JSON object `{"n": <last n>}`, follows; should another
  attempt come after all, lines go on behind it. The last 20,000 lines are kept, fewer when they are
  long, and all of it goes ten minutes
  after the archive is there, a day after the last line at the latest. While Redis is
  down nothing arrives; afterwards the lines that it lacks do, in order.
- **Archive** `$HOME/logs/<deployment id>.jsonl.gz`: gzip of all lines; it is there when the log is
  complete, and the spool is not.
"""

from bot.logs.line import Line, LogWriter, stream_key
from bot.logs.reader import LogReader
from bot.logs.spool import archive_abandoned
from bot.logs.writer import DeploymentLog

__all__ = ["DeploymentLog", "Line", "LogReader", "LogWriter", "archive_abandoned", "stream_key"]
