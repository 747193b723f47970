"""The ids of everything, as types of their own so that one can't stand where another belongs."""

import re
from typing import NewType

TenantId = NewType("TenantId", int)
ProjectId = NewType("ProjectId", int)
AppId = NewType("AppId", int)
EnvironmentId = NewType("EnvironmentId", int)
DeliveryId = NewType("DeliveryId", int)
DeploymentId = NewType("DeploymentId", int)
ReleaseId = NewType("ReleaseId", int)
ErrandId = NewType("ErrandId", int)
DomainId = NewType("DomainId", int)
VariableId = NewType("VariableId", int)
ShareLinkId = NewType("ShareLinkId", int)
FreezeId = NewType("FreezeId", int)
Sha = NewType("Sha", str)
"""A full commit id: 40 or 64 lowercase hexadecimal digits."""
Digest = NewType("Digest", str)
"""SHA-256 of some bytes, 64 lowercase hexadecimal digits."""

_SHA = re.compile(r"[0-9a-f]{40}(?:[0-9a-f]{24})?")
_REFERENCE = re.compile(r"(?:DEP-)?([0-9]{1,18})", re.IGNORECASE)


def is_sha(text: str) -> bool:
    """Whether the text is a full commit id that names a commit (all zeros mean 'none')."""
    return _SHA.fullmatch(text) is not None and text.strip("0") != ""


def reference(deployment: DeploymentId) -> str:
    """How people name a deployment: `DEP-1042`."""
    return f"DEP-{deployment}"


def parse_reference(text: str) -> DeploymentId | None:
    """Read `DEP-1042`, `dep-1042` or `1042`."""
    match = _REFERENCE.fullmatch(text.strip())
    return DeploymentId(int(match[1])) if match else None
