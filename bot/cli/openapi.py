"""The command that prints the API's document."""

import json
import sys

from bot.api.openapi import document


def openapi() -> None:
    """Print the API's OpenAPI document."""
    sys.stdout.write(json.dumps(document(), indent=2) + "\n")
