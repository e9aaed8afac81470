"""Certificates: the proofs under which something runs by itself."""

from datetime import datetime
from typing import Annotated
from uuid import UUID

from django.http import HttpRequest
from django.shortcuts import get_object_or_404
from django.utils import timezone
from ninja import Query, Router, Schema

from triage.api.access import person_of
from triage.api.pages import Page, cut
from triage.api.problems import PROBLEMS
from triage.models import Certificate, Release

router = Router(tags=["certificates"])


class CertificateOut(Schema):
    """With confidence 1 - delta, at most alpha of what this gate runs was wrong in the window that was sampled.

    `valid`: neither revoked nor expired, and its release is in force.
    """

    id: UUID
    customer: str
    release: str
    runbooks: list[str]
    gate: str
    valid: bool
    alpha: float
    delta: float
    threshold: float
    n: int
    errors: int
    upper_bound: float
    basis: str
    sentence: str
    breaks: list[str]
    window_from: datetime
    window_until: datetime
    issued_at: datetime
    expires_at: datetime
    revoked_at: datetime | None
    revoked_because: str


class Certificates(Schema):
    """A page of certificates."""

    items: list[CertificateOut]
    next: str | None


class Wanted(Page):
    """Which certificates."""

    customer: Annotated[str, Query(max_length=60)] = ""


@router.get("/", response={200: Certificates, **PROBLEMS}, operation_id="list_certificates")
def certificates(request: HttpRequest, wanted: Query[Wanted]) -> Certificates:
    """Certificates of the customers that the token's owner belongs to, newest first."""
    person = person_of(request, "certificates:read")
    rows = Certificate.objects.visible_to(person).select_related("customer", "release")
    if wanted.customer:
        rows = rows.filter(customer__slug=wanted.customer)
    shown, onward = cut(rows, wanted)
    return Certificates(items=[_shown(row) for row in shown], next=onward)


@router.get("/{uuid}", response={200: CertificateOut, **PROBLEMS}, operation_id="read_certificate")
def certificate(request: HttpRequest, uuid: UUID) -> CertificateOut:
    """One certificate."""
    person = person_of(request, "certificates:read")
    rows = Certificate.objects.visible_to(person).select_related("customer", "release")
    return _shown(get_object_or_404(rows, uuid=uuid))


def _shown(row: Certificate) -> CertificateOut:
    standing = row.revoked_at is None and row.expires_at > timezone.now()
    return CertificateOut(
        id=row.uuid,
        customer=row.customer.slug,
        release=row.release.version,
        runbooks=[str(key) for key in row.runbooks],
        gate=row.gate,
        valid=standing and row.release.status == Release.Status.IN_FORCE,
        alpha=row.alpha,
        delta=row.delta,
        threshold=row.threshold,
        n=row.n,
        errors=row.errors,
        upper_bound=row.upper_bound,
        basis=row.basis,
        sentence=row.sentence,
        breaks=[str(one) for one in row.breaks],
        window_from=row.window_from,
        window_until=row.window_until,
        issued_at=row.issued_at,
        expires_at=row.expires_at,
        revoked_at=row.revoked_at,
        revoked_because=row.revoked_because,
    )
