"""What an administrator lays down for runs at a customer: limits, maintenance windows and change freezes."""

from datetime import date

from django.db import models
from django.db.models import F, Q

from triage.models.customer import Customer, CustomerQuerySet
from triage.models.runbook import Target


class Limit(models.Model):
    """How many runs may start in an hour and be live at one moment, counted over what the row names.

    Runbook and target left empty: over all of the customer's. `each`: over every host or account by itself.
    """

    customer = models.ForeignKey(Customer, on_delete=models.CASCADE)
    runbook = models.CharField("runbook, empty: all together", max_length=60, blank=True)
    target = models.ForeignKey(
        Target, null=True, blank=True, on_delete=models.CASCADE, verbose_name="target, empty: all together"
    )
    each = models.BooleanField("for every host or account by itself", default=False)
    runs_an_hour = models.PositiveIntegerField("runs an hour, empty: as many as come", null=True, blank=True)
    concurrent = models.PositiveIntegerField("runs at the same moment, empty: as many as come", null=True, blank=True)

    objects = CustomerQuerySet.as_manager()

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["customer", "runbook", "target", "each"], name="limit_once"),
            # to a database no two empty targets are equal
            models.UniqueConstraint(
                fields=["customer", "runbook", "each"], condition=Q(target__isnull=True), name="limit_once_everywhere"
            ),
            models.CheckConstraint(
                condition=Q(runs_an_hour__isnull=False) | Q(concurrent__isnull=False), name="limit_limits_something"
            ),
        ]

    def __str__(self) -> str:
        return f"limit at {self.customer_id}"


class Window(models.Model):
    """When runs of a runbook, on a target, or any at a customer may start: only inside.

    Windows of the same customer, runbook and target add up. Where several such groups concern a run, it waits until
    each of them is open.
    """

    customer = models.ForeignKey(Customer, on_delete=models.CASCADE)
    runbook = models.CharField("runbook, empty: all", max_length=60, blank=True)
    target = models.ForeignKey(
        Target, null=True, blank=True, on_delete=models.CASCADE, verbose_name="target, empty: all"
    )
    days = models.CharField("days, as a recurrence rule", max_length=200, default="FREQ=WEEKLY;BYDAY=SA,SU")
    begins = models.TimeField()
    ends = models.TimeField("ends, on the next day where not after the beginning")
    zone = models.CharField("time zone", max_length=64, default="UTC")
    first_day = models.DateField(
        "counted from, which matters for every second week and the like", default=date(2024, 1, 1)
    )

    objects = CustomerQuerySet.as_manager()

    def __str__(self) -> str:
        return f"{self.days} {self.begins:%H:%M} to {self.ends:%H:%M} {self.zone}"


class Freeze(models.Model):
    """A time in which nothing starts: at one customer, or at all where none is named."""

    customer = models.ForeignKey(
        Customer, null=True, blank=True, on_delete=models.CASCADE, verbose_name="customer, empty: all customers"
    )
    begins = models.DateTimeField(db_index=True)
    ends = models.DateTimeField(db_index=True)
    reason = models.CharField(max_length=300)

    objects = CustomerQuerySet.as_manager()

    class Meta:
        constraints = [models.CheckConstraint(condition=Q(ends__gt=F("begins")), name="freeze_ends_after_it_begins")]

    def __str__(self) -> str:
        return self.reason
