"""What organisations and projects look like in requests and answers."""

from datetime import datetime
from typing import Annotated

from pydantic import Field

from bot.api.app_views import Line, Slug
from bot.api.envelope import Model
from bot.store.people import Project, Tenant

Name = Annotated[Line, Field(min_length=1, max_length=100, examples=["Acme"])]


class OrgView(Model):
    """An organisation: a team's walled space. Elsewhere also called a tenant."""

    id: int = Field(examples=[1])
    slug: str = Field(examples=["acme"])
    name: str = Field(examples=["Acme"])
    build_limit: int | None = Field(examples=[None])
    """How many deployments it may run at once; null: as many as there are executors."""
    created_at: datetime = Field(examples=["2026-01-31T11:00:00Z"])


class ProjectView(Model):
    """A group of apps."""

    id: int = Field(examples=[1])
    slug: str = Field(examples=["default"])
    name: str = Field(examples=["Default"])
    created_at: datetime = Field(examples=["2026-01-31T11:00:00Z"])
    archived_at: datetime | None = Field(examples=[None])


class CreateOrg(Model):
    """A new organisation."""

    slug: Slug
    name: Name


class UpdateOrg(Model):
    """What of an organisation can be changed; what is left out stays."""

    name: Name = ""
    build_limit: Annotated[int, Field(ge=1, le=64)] | None = Field(default=None, examples=[None])
    """How many deployments it may run at once; null: as many as there are executors."""


class CreateProject(Model):
    """A new project."""

    slug: Slug
    name: Name | None = None
    """Default: the slug."""


class UpdateProject(Model):
    """What of a project can be changed; what is left out stays."""

    slug: Slug = ""
    name: Name = ""


def org_view(one: Tenant) -> OrgView:
    """An organisation as answers show it."""
    return OrgView(
        id=one.id, slug=one.slug, name=one.name, build_limit=one.build_limit, created_at=one.created_at
    )


def project_view(one: Project) -> ProjectView:
    """A project as answers show it."""
    return ProjectView(
        id=one.id, slug=one.slug, name=one.name, created_at=one.created_at, archived_at=one.archived_at
    )
