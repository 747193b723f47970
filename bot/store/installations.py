"""Which tenants may use which installations of the GitHub App.

An installation that is bound to nobody is the default tenant's, which is the operator's own.
"""

from dataclasses import dataclass, fields
from datetime import datetime

import msgspec
import sqlalchemy as sa
from sqlalchemy import RowMapping

from bot.domain.ids import TenantId
from bot.store.apps import DEFAULT
from bot.store.deliveries import GITHUB, body_of
from bot.store.engine import Tx
from bot.store.entry_schema import installations
from bot.store.schema import deliveries, tenants


@dataclass(frozen=True)
class Binding:
    """An installation that a tenant may use. `account` is who installed the App, as GitHub calls them."""

    id: int
    installation_id: int
    tenant_id: TenantId
    account: str
    created_by: str
    created_at: datetime


class _Numbered(msgspec.Struct):
    id: int


class _Told(msgspec.Struct):
    action: str
    installation: _Numbered
    sender: _Numbered


_LATELY = 5000
"""Deliveries that are looked through, from the newest."""
_FIELDS = [installations.c[field.name] for field in fields(Binding)]


def bind(
    tx: Tx, installation: int, tenant: TenantId, *, account: str, created_by: str, now: datetime
) -> Binding:
    """Let a tenant use an installation; what is bound already stays as it is."""
    if (known := find(tx, installation, tenant)) is not None:
        return known
    values = {"installation_id": installation, "tenant_id": tenant, "account": account}
    made = {**values, "created_by": created_by, "created_at": now}
    return _binding(tx.execute(installations.insert().values(made).returning(*_FIELDS)).mappings().one())


def unbind(tx: Tx, installation: int, tenant: TenantId) -> None:
    """Take an installation from a tenant."""
    tx.execute(installations.delete().where(*_named(installation, tenant)))


def find(tx: Tx, installation: int, tenant: TenantId) -> Binding | None:
    """One binding."""
    row = tx.execute(sa.select(*_FIELDS).where(*_named(installation, tenant))).mappings().one_or_none()
    return _binding(row) if row else None


def of_tenant(tx: Tx, tenant: TenantId) -> list[Binding]:
    """The installations bound to a tenant, oldest first."""
    query = sa.select(*_FIELDS).where(installations.c.tenant_id == tenant).order_by(installations.c.id)
    return [_binding(row) for row in tx.execute(query).mappings()]


def may_use(tx: Tx, tenant: TenantId, installation: int | None) -> bool:
    """Whether a tenant may use an installation: it is bound to it, or to nobody and the tenant is default.

    None stands for what is the operator's own as well: the token of the settings, the webhook's secret.
    """
    bound = set(
        tx.scalars(
            sa.select(installations.c.tenant_id).where(installations.c.installation_id == installation)
        )
    )
    return tenant in bound if bound else tenant == _default(tx)


def installer(tx: Tx, installation: int) -> int | None:
    """Who installed the App there, by GitHub's number of them, as a delivery signed by GitHub told lately."""
    newest = tx.scalar(sa.select(sa.func.max(deliveries.c.id))) or 0
    where = (
        deliveries.c.id > newest - _LATELY,
        deliveries.c.event == "installation",
        deliveries.c.source == GITHUB,
        deliveries.c.verified_app_id.is_(None),
    )
    query = sa.select(deliveries.c.body).where(*where).order_by(deliveries.c.id.desc())
    for body in tx.scalars(query):
        try:
            told = msgspec.json.decode(body_of(body), type=_Told)
        except (msgspec.DecodeError, RecursionError):
            continue
        if told.action == "created" and told.installation.id == installation:
            return told.sender.id
    return None


def _default(tx: Tx) -> TenantId | None:
    found = tx.scalar(sa.select(tenants.c.id).where(tenants.c.slug == DEFAULT))
    return None if found is None else TenantId(found)


def _named(installation: int, tenant: TenantId) -> tuple[sa.ColumnElement[bool], ...]:
    return (installations.c.installation_id == installation, installations.c.tenant_id == tenant)


def _binding(row: RowMapping) -> Binding:
    return Binding(**{str(name): value for name, value in row.items()})
