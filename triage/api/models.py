"""Models: releases of each customer, which one is in force, and changing that."""

from datetime import datetime
from typing import Annotated, Literal

from django.http import HttpRequest
from django.shortcuts import get_object_or_404
from django.utils import timezone
from ninja import Path, Query, Router, Schema

from triage import learning
from triage.api.access import customer_of, person_of
from triage.api.pages import Page, cut
from triage.api.problems import PROBLEMS
from triage.models import Release
from triage.permissions import check_can_publish

router = Router(tags=["models"])
Slug = Annotated[str, Path(max_length=40)]
Version = Annotated[str, Path(max_length=60)]
Status = Literal["candidate", "shadow", "canary", "in_force", "retired"]


class ReleaseOut(Schema):
    """One trained model. `accuracy` is measured on rows that training did not see."""

    customer: str
    version: str
    digest: str
    status: Status
    reason: str
    rows: int
    accuracy: float | None
    trained_until: datetime
    created_at: datetime
    in_force_at: datetime | None


class Releases(Schema):
    """A page of releases."""

    items: list[ReleaseOut]
    next: str | None


class Wanted(Page):
    """Which releases."""

    customer: Annotated[str, Query(max_length=60)] = ""
    status: Status | None = None


@router.get("/", response={200: Releases, **PROBLEMS}, operation_id="list_models")
def releases(request: HttpRequest, wanted: Query[Wanted]) -> Releases:
    """Releases of the customers that the token's owner belongs to, newest first."""
    rows = Release.objects.visible_to(person_of(request, "models:read")).select_related("customer").defer("measures")
    if wanted.customer:
        rows = rows.filter(customer__slug=wanted.customer)
    if wanted.status:
        rows = rows.filter(status=wanted.status)
    shown, onward = cut(rows, wanted)
    return Releases(items=[_shown(row) for row in shown], next=onward)


@router.post("/{customer}/rollback", response={200: ReleaseOut, **PROBLEMS}, operation_id="roll_back_model")
def rollback(request: HttpRequest, customer: Slug) -> ReleaseOut:
    """Return to the release that was in force before, with the certificates that it earned."""
    person = person_of(request, "models:publish")
    owner = customer_of(person, customer)
    check_can_publish(person, owner)
    return _shown(learning.rollback(customer=owner, actor=f"person:{person.pk}", at=timezone.now()))


@router.get("/{customer}/{version}", response={200: ReleaseOut, **PROBLEMS}, operation_id="read_model")
def release(request: HttpRequest, customer: Slug, version: Version) -> ReleaseOut:
    """One release."""
    person = person_of(request, "models:read")
    rows = Release.objects.visible_to(person).select_related("customer").defer("measures")
    return _shown(get_object_or_404(rows, customer__slug=customer, version=version))


@router.post("/{customer}/{version}/publish", response={200: ReleaseOut, **PROBLEMS}, operation_id="publish_model")
def publish(request: HttpRequest, customer: Slug, version: Version) -> ReleaseOut:
    """Bring a release into force. 409 with the figures where it is worse than the one that is, or answers otherwise."""
    person = person_of(request, "models:publish")
    owner = customer_of(person, customer)
    check_can_publish(person, owner)
    row: Release = get_object_or_404(Release.objects.of(owner).select_related("customer"), version=version)
    learning.publish(release=row, actor=f"person:{person.pk}", at=timezone.now())
    row.refresh_from_db()
    return _shown(row)


def _shown(row: Release) -> ReleaseOut:
    return ReleaseOut(
        customer=row.customer.slug,
        version=row.version,
        digest=row.digest,
        status=row.status,  # type: ignore[arg-type]  # one of them by a constraint
        reason=row.reason,
        rows=row.rows,
        accuracy=row.accuracy,
        trained_until=row.trained_until,
        created_at=row.created_at,
        in_force_at=row.in_force_at,
    )
