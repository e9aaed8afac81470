"""What the installation has already, read once and found by the names that the file uses."""

from collections import defaultdict
from dataclasses import dataclass
from functools import cached_property
from typing import TypeVar

from django.db import models

from triage.models import (
    AuditEvent,
    Customer,
    EventEndpoint,
    Freeze,
    Limit,
    Membership,
    Person,
    RunbookState,
    Source,
    SourceMapping,
    Target,
    Window,
)

M = TypeVar("M", bound=models.Model)
STOPPED, STARTED = "runbook stopped", "runbook started"


@dataclass
class Standing:
    """Rows by the names of the file. `customers` and `people` are added to while the plan makes new ones."""

    @cached_property
    def customers(self) -> dict[str, Customer]:
        """By slug."""
        return {row.slug: row for row in Customer.objects.order_by("slug")}

    @cached_property
    def people(self) -> dict[str, Person]:
        """By name to sign in with."""
        return {row.username: row for row in Person.objects.order_by("username")}

    @cached_property
    def sources(self) -> dict[str, Source]:
        """By slug."""
        return {row.slug: row for row in Source.objects.select_related("customer").order_by("slug")}

    @cached_property
    def mappings(self) -> dict[int | None, list[SourceMapping]]:
        """By source."""
        return _grouped(SourceMapping.objects.select_related("customer").order_by("part", "value"), "source_id")

    @cached_property
    def memberships(self) -> dict[int | None, list[Membership]]:
        """By customer."""
        return _grouped(Membership.objects.select_related("person").order_by("role", "person"), "customer_id")

    @cached_property
    def policies(self) -> dict[int | None, list[RunbookState]]:
        """By customer."""
        return _grouped(RunbookState.objects.order_by("runbook"), "customer_id")

    @cached_property
    def targets(self) -> dict[int | None, list[Target]]:
        """By customer."""
        return _grouped(Target.objects.order_by("key"), "customer_id")

    @cached_property
    def limits(self) -> dict[int | None, list[Limit]]:
        """By customer."""
        return _grouped(Limit.objects.select_related("target").order_by("pk"), "customer_id")

    @cached_property
    def windows(self) -> dict[int | None, list[Window]]:
        """By customer."""
        return _grouped(Window.objects.select_related("target").order_by("pk"), "customer_id")

    @cached_property
    def freezes(self) -> dict[int | None, list[Freeze]]:
        """By customer; None: for all."""
        return _grouped(Freeze.objects.order_by("begins", "pk"), "customer_id")

    @cached_property
    def endpoints(self) -> dict[int | None, list[EventEndpoint]]:
        """By customer; None: for all."""
        return _grouped(EventEndpoint.objects.order_by("name", "pk"), "customer_id")

    @cached_property
    def stopped_by_people(self) -> set[int]:
        """Runbook states that a person stopped last: no file lets them start again."""
        last: dict[int, AuditEvent] = {}
        told = AuditEvent.objects.filter(subject="runbookstate", event__in=[STOPPED, STARTED])
        for event in told.order_by("id"):
            last[event.subject_id] = event
        return {key for key, event in last.items() if event.event == STOPPED and event.actor.startswith("person:")}

    def of(self, rows: dict[int | None, list[M]], customer: Customer | None) -> list[M]:
        """The customer's rows; none for a customer that is only being made."""
        if customer is not None and customer.pk is None:
            return []
        return rows.get(customer.pk if customer else None, [])


def _grouped(rows: models.QuerySet[M], column: str) -> dict[int | None, list[M]]:
    result: dict[int | None, list[M]] = defaultdict(list)
    for row in rows:
        result[getattr(row, column)].append(row)
    return result
