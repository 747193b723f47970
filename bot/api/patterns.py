"""What texts in requests must look like, and how that is said to people."""

from collections.abc import Mapping

LINE = r"^[^\x00-\x1f\x7f]*$"
REMOTE = r"^(https://[^\s@/]+/\S+|ssh://\S+|git@[\w.-]+:\S+)$"
PLACE = "^[a-z0-9]([a-z0-9-]{0,28}[a-z0-9])?$"
STATUSES = r"^[a-z]+(,[a-z]+)*$"
COMMIT = "^[0-9a-f]{7,40}$"
BEGINNING = "^[0-9a-f]{4,64}$"
LENGTH = "^[1-9][0-9]{0,3}[mhdw]$"
CURSOR = r"^d(\d{1,15})\.c(\d{1,15})$"

SAID: Mapping[str, str] = {
    LINE: "Write one line, without control characters.",
    REMOTE: "Write https://HOST/..., ssh://... or git@HOST:..., without a password in it.",
    PLACE: "Use lowercase letters, digits and hyphens, at most 30, and no hyphen at either end.",
    STATUSES: "Write one status, or several with commas between, such as failed,cancelled.",
    COMMIT: "Write 7 to 40 digits of a commit's id, in lower case.",
    BEGINNING: "Write the beginning of a commit's id, at least 4 digits of it, in lower case.",
    LENGTH: "Write a number and m, h, d or w, such as 2h.",
    CURSOR: "Send what the page before had as 'next'.",
}
"""What to write, by pattern."""
