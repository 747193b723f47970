"""Variables with their values: set, read, revealed, and what a build is given. Values rest sealed.

Nothing here logs, and no error repeats a value.
"""

import hashlib
import hmac
import secrets
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from functools import cached_property

from bot.domain.app import App
from bot.domain.environment import Environment
from bot.domain.ids import Digest
from bot.domain.variable import (
    Action,
    Place,
    Reach,
    Use,
    Variable,
    VariableChange,
    effective,
    prints,
)
from bot.domain.variable_wish import Wanted, check_room, gone, settle
from bot.errors import ErrorCode, UserError
from bot.store import singletons, variables
from bot.store.engine import Tx
from bot.store.variables import Content
from bot.vault import Vault

KEY = "variables"
"""Under which name the store keeps the key of fingerprints, sealed."""


@dataclass(frozen=True)
class Given:
    """What one build is given. `prints` are the fingerprints of the values, by name.

    `withheld` names what would have been given, but is kept from code that nobody vouched for.
    """

    values: Mapping[str, str] = field(default_factory=dict[str, str], repr=False)
    secrets: frozenset[str] = frozenset()
    prints: Mapping[str, str] = field(default_factory=dict[str, str])
    withheld: tuple[str, ...] = ()

    @property
    def digest(self) -> Digest | None:
        """What tells these values from others; None when there are none."""
        if not self.prints:
            return None
        said = "\n".join(f"{name} {self.prints[name]}" for name in sorted(self.prints))
        return Digest(hashlib.sha256(said.encode()).hexdigest())

    @property
    def secret_values(self) -> dict[str, str]:
        """The secrets alone, by name."""
        return {name: self.values[name] for name in sorted(self.secrets)}


NOTHING = Given()


class Book:
    """The variables of one instance, in one transaction."""

    def __init__(self, tx: Tx, vault: Vault) -> None:
        self._tx = tx
        self._vault = vault

    def given(self, app: App, environment: Environment, *, trusted: bool) -> Given:
        """What a build for an environment is given; nothing unless its code is trusted.

        Raises `PlatformError` when a value can't be opened.
        """
        found = variables.of_app(self._tx, app, [environment.id])
        counting = effective(found, environment.kind, Use.BUILD)
        if not trusted:
            return Given(withheld=tuple(counting))
        sealed = variables.values(self._tx, [one.id for one in counting.values()])
        values = {name: self._vault.open(sealed[one.id]).decode() for name, one in counting.items()}
        hidden = frozenset(name for name, one in counting.items() if one.secret)
        return Given(values, hidden, prints(counting))

    def plain_values(self, found: Iterable[Variable]) -> dict[int, str]:
        """The values of those that are no secrets, by id."""
        plain = [one.id for one in found if not one.secret]
        sealed = variables.values(self._tx, plain)
        return {number: self._vault.open(value).decode() for number, value in sealed.items()}

    def reveal(self, place: Place, name: str, reach: Reach, *, by: str, now: datetime) -> str:
        """A value, secret or not; that it was looked at is remembered. Raises `UserError` UNKNOWN_NAME."""
        found = variables.find(self._tx, place, name, reach)
        if found is None:
            raise UserError(ErrorCode.UNKNOWN_NAME, field="variable", value=name)
        look = VariableChange(
            name, reach, version=found.version, action=Action.REVEALED, what="", by=by, at=now
        )
        variables.append_changes(self._tx, place, [look])
        return self._vault.open(variables.values(self._tx, [found.id])[found.id]).decode()

    def copy(self, source: Place, into: Place, *, secrets_too: bool, by: str, now: datetime) -> list[str]:
        """Set in one scope what is set in another; the names of secrets that were left out."""
        there = variables.of_place(self._tx, source)
        wanted = [one for one in there if secrets_too or not one.secret]
        sealed = variables.values(self._tx, [one.id for one in wanted])
        copies = [
            Wanted(
                one.name,
                one.reach,
                self._vault.open(sealed[one.id]).decode(),
                one.secret,
                one.build,
                one.runtime,
            )
            for one in wanted
        ]
        self.change(into, copies, by=by, now=now)
        return [one.name for one in there if one not in wanted]

    def change(
        self,
        place: Place,
        wanted: Sequence[Wanted],
        *,
        by: str,
        now: datetime,
        unset: Iterable[tuple[str, Reach | None]] = (),
        replaces: bool = False,
        revision: int | None = None,
    ) -> list[str]:
        """Set and unset variables of a scope; with `replaces` it has no others afterwards.

        The names of those that are not as they were. A name that is unset without a reach goes in all.
        Raises `VariablesRefusedError` (of `bot.domain.variable_wish`), or `UserError` VARIABLES_CHANGED
        when the scope is not at the revision that the caller saw.
        """
        self._check_revision(place, revision)
        there = {(one.name, one.reach): one for one in variables.of_place(self._tx, place)}
        leaving = gone(there, wanted, unset, replaces=replaces)
        settled = settle(place, there, wanted)
        check_room(place, [one for key, one in there.items() if key not in leaving], settled)
        changes: list[VariableChange] = []
        for key in leaving:
            old = there[key]
            variables.drop(self._tx, old.id)
            changes.append(
                VariableChange(*key, version=old.version + 1, action=Action.UNSET, what="", by=by, at=now)
            )
        last = variables.last_versions(self._tx, place)
        for one in settled:
            key = (one.name, one.reach)
            old = there.get(key)
            version = max(last.get(key, 0), old.version if old else 0) + 1
            made = self._set(place, one, old, version=version, by=by, now=now)
            changes += [made] if made is not None else []
        variables.append_changes(self._tx, place, changes)
        return sorted({one.name for one in changes})

    def _set(
        self, place: Place, wanted: Wanted, old: Variable | None, *, version: int, by: str, now: datetime
    ) -> VariableChange | None:
        content = self._content(wanted, old)
        what = _difference(old, content)
        if not what:
            return None
        key = (wanted.name, wanted.reach)
        if old is None:
            variables.insert(self._tx, place, key, content, version=version, by=by, now=now)
        else:
            variables.update(self._tx, old, content, version=version, by=by, now=now)
        return VariableChange(*key, version=version, action=Action.SET, what=", ".join(what), by=by, at=now)

    def _content(self, wanted: Wanted, old: Variable | None) -> Content:
        flags = {"secret": bool(wanted.secret), "build": bool(wanted.build), "runtime": bool(wanted.runtime)}
        if wanted.value is None:
            assert old is not None
            sealed = variables.values(self._tx, [old.id])[old.id]
            return Content(**flags, fingerprint=old.fingerprint, size=old.size, value=sealed)
        value = wanted.value.encode()
        mark = hmac.digest(self._key, wanted.name.encode() + b"\0" + value, "sha256").hex()[:32]
        return Content(**flags, fingerprint=mark, size=len(value), value=self._vault.seal(value))

    @cached_property
    def _key(self) -> bytes:
        kept = singletons.facts(self._tx, KEY).get("sealed")
        if kept is not None:
            return self._vault.open(kept.encode())
        made = secrets.token_bytes(32)
        singletons.keep_facts(self._tx, KEY, {"sealed": self._vault.seal(made).decode()})
        return made

    def _check_revision(self, place: Place, expected: int | None) -> None:
        if expected is None:
            return
        present = variables.revision(self._tx, place)
        if present != expected:
            raise UserError(ErrorCode.VARIABLES_CHANGED, revision=present, expected=expected)


def _difference(old: Variable | None, content: Content) -> list[str]:
    """What of a variable changes, by name; a new one changes whole."""
    if old is None:
        return ["new"]
    named = {"value": "fingerprint", "secret": "secret", "build": "build", "runtime": "runtime"}
    return [name for name, part in named.items() if getattr(old, part) != getattr(content, part)]
