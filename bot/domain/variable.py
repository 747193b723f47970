"""A variable: a name with a value, the scope that it is set in, and where it counts (pure)."""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from bot.domain.environment import EnvironmentKind
from bot.domain.ids import TenantId, VariableId
from bot.redact import MIN_SECRET

MAX_NAME = 128
MAX_VALUE = 64 * 1024
"""Bytes of a value in UTF-8. The kernel takes 128 KiB in one string (execve(2), MAX_ARG_STRLEN)."""
MAX_SECRET = 16 * 1024
"""Bytes of a secret: keeping one out of a log takes 2 KB of memory a byte."""
MAX_COUNT = 250
"""Variables of one scope."""
MAX_TOTAL = 256 * 1024
"""Bytes of all values of one scope: four scopes have to fit into what execve(2) takes."""
MAX_SECRETS = 48 * 1024
"""Bytes of all secrets of one scope."""

_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
# What Slipway or the shell sets, and what changes which program runs or what it loads.
_RESERVED = frozenset("_ BASH_ENV HOME IFS OLDPWD PATH PWD SHLVL SLIPWAY".split())
_RESERVED_PREFIXES = ("SLIPWAY_", "LD_", "DYLD_", "BASH_FUNC_")
# Frameworks put what begins so into the pages that they make: no secret can be in there.
_PUBLIC_PREFIXES = (
    "EXPO_PUBLIC_",
    "GATSBY_",
    "NEXT_PUBLIC_",
    "NUXT_PUBLIC_",
    "PUBLIC_",
    "REACT_APP_",
    "VITE_",
    "VUE_APP_",
)
_SECRET_WORDS = re.compile(
    r"SECRET|TOKEN|PASSW|PASSPHRASE|CREDENTIAL|PRIVATE|(?:^|_)(?:API_?KEY|KEY|DSN|PAT|PWD|SALT)$"
    r"|(?:DATABASE|DB|REDIS|MONGO(?:DB)?|POSTGRES(?:QL)?|MYSQL|AMQP|SMTP)_UR[IL]$",
    re.IGNORECASE,
)


class Scope(StrEnum):
    """What a variable is set for, the widest first: a narrower one wins."""

    TENANT = "tenant"
    PROJECT = "project"
    APP = "app"
    ENVIRONMENT = "environment"


class Reach(StrEnum):
    """In which kinds of environments a variable counts. One for a single kind wins over one for all."""

    ALL = "all"
    PRODUCTION = "production"
    BRANCH = "branch"
    PREVIEW = "preview"


class Use(StrEnum):
    """When a variable is given to a program."""

    BUILD = "build"
    RUNTIME = "runtime"


class Action(StrEnum):
    """What became of a variable."""

    SET = "set"
    UNSET = "unset"
    REVEALED = "revealed"


@dataclass(frozen=True)
class Place:
    """One scope: a tenant, a project, an app or an environment, by its id, and the tenant that it is of."""

    scope: Scope
    owner: int
    tenant: TenantId


@dataclass(frozen=True)
class Variable:
    """A variable without its value. `fingerprint` tells values of one name apart, and nothing else of them.

    `size` is the value's, in bytes; `version` counts its changes.
    """

    id: VariableId
    scope: Scope
    owner_id: int
    name: str
    reach: Reach
    secret: bool
    build: bool
    runtime: bool
    version: int
    fingerprint: str
    size: int
    changed_by: str
    created_at: datetime
    changed_at: datetime

    def counts_in(self, kind: EnvironmentKind, use: Use) -> bool:
        """Whether it counts in environments of a kind, at build or at run time."""
        reaches = self.reach is Reach.ALL or self.reach.value == kind.value
        return reaches and (self.build if use is Use.BUILD else self.runtime)

    @property
    def rank(self) -> tuple[int, bool]:
        """Of two with one name, the one with the higher rank counts."""
        return list(Scope).index(self.scope), self.reach is not Reach.ALL


@dataclass(frozen=True)
class VariableChange:
    """One change of a variable, or one look at its value. `what` names what was changed, never values."""

    name: str
    reach: Reach
    version: int
    action: Action
    what: str
    by: str
    at: datetime


def effective(found: Iterable[Variable], kind: EnvironmentKind, use: Use) -> dict[str, Variable]:
    """The variables that count in an environment of a kind, by name: narrower wins key by key."""
    counting = [one for one in found if one.counts_in(kind, use)]
    return {one.name: one for one in sorted(counting, key=lambda one: (one.name, one.rank))}


def prints(variables: Mapping[str, Variable]) -> dict[str, str]:
    """The fingerprints of some variables, by name."""
    return {name: one.fingerprint for name, one in variables.items()}


def differing(now: Mapping[str, str], then: Mapping[str, str]) -> list[str]:
    """The names that were set, changed or unset between two sets of fingerprints."""
    return sorted(name for name in {*now, *then} if now.get(name) != then.get(name))


def name_problem(name: str) -> str | None:
    """Why a text can't be the name of a variable, and what to do; None when it can."""
    if not _NAME.fullmatch(name):
        return "Use letters, digits and underscores, and no digit at the beginning."
    if len(name) > MAX_NAME:
        return f"A name may have {MAX_NAME} letters."
    if is_reserved(name):
        return f"{name} is set by Slipway or the system itself. Use another name."
    return None


def is_reserved(name: str) -> bool:
    """Whether Slipway or the system sets what has that name."""
    return name in _RESERVED or name.upper().startswith(_RESERVED_PREFIXES)


def value_problem(value: str, *, secret: bool) -> str | None:
    """Why a text can't be a value, and what to do; None when it can. Nothing of it is repeated."""
    if "\0" in value:
        return "A value can't have a zero byte: no program could be given it. Encode it, such as in base64."
    try:
        size = len(value.encode())
    except UnicodeEncodeError:
        return "It is not Unicode text: half of a surrogate pair is missing. Encode it, such as in base64."
    if size > MAX_VALUE:
        return f"A value may have {MAX_VALUE} bytes, and this one has {size}. Put it into a file."
    if secret and size > MAX_SECRET:
        return f"A secret may have {MAX_SECRET} bytes, and this one has {size}."
    if secret and size < MIN_SECRET:
        return f"A secret needs {MIN_SECRET} bytes: logs can't be kept free of shorter ones. Set it as plain."
    return None


def is_secret(name: str, value: str) -> bool:
    """Whether a variable is taken for a secret where nobody says: by its name."""
    if name.upper().startswith(_PUBLIC_PREFIXES) or len(value.encode(errors="replace")) < MIN_SECRET:
        return False
    return _SECRET_WORDS.search(name) is not None
