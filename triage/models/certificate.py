"""Registrations of certification attempts, the certificates they earned, and the budget they are charged to."""

import uuid

from django.db import models
from django.db.models import F, Q

from triage.models.customer import Customer, CustomerQuerySet
from triage.models.fields import probability
from triage.models.release import Release


class Budget(models.Model):
    """How much delta a customer may spend and has spent in a year; changed by conditional UPDATE only."""

    customer = models.ForeignKey(Customer, on_delete=models.PROTECT)
    year = models.PositiveSmallIntegerField()
    limit = models.FloatField()
    spent = models.FloatField(default=0.0)

    objects = CustomerQuerySet.as_manager()

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["customer", "year"], name="budget_once_a_year"),
            models.CheckConstraint(condition=Q(spent__lte=F("limit") + 1e-12), name="budget_not_overspent"),
            probability("limit"),
        ]

    def __str__(self) -> str:
        return f"{self.year}: {self.spent} of {self.limit}"


class Registration(models.Model):
    """One attempt, fixed before any of its labels was opened. Never changed afterwards."""

    uuid = models.UUIDField(default=uuid.uuid4, unique=True, editable=False)
    customer = models.ForeignKey(Customer, on_delete=models.PROTECT)
    release = models.ForeignKey(Release, on_delete=models.PROTECT)
    gate = models.CharField("gate hash", max_length=64)
    gate_parts = models.JSONField()
    runbooks = models.JSONField()
    alpha = models.FloatField()
    delta = models.FloatField("charged to the budget")
    plan = models.JSONField("threshold grid, starts, looks, n")
    basis = models.CharField("history or draws", max_length=16)
    registered_at = models.DateTimeField()
    opened_at = models.DateTimeField(null=True)
    verdict = models.JSONField(null=True)

    objects = CustomerQuerySet.as_manager()

    class Meta:
        constraints = [probability("alpha"), probability("delta")]

    def __str__(self) -> str:
        return f"attempt {self.uuid} alpha={self.alpha}"


class Certificate(models.Model):
    """The proof without which nothing runs by itself."""

    uuid = models.UUIDField(default=uuid.uuid4, unique=True, editable=False)
    customer = models.ForeignKey(Customer, on_delete=models.PROTECT)
    registration = models.OneToOneField(Registration, on_delete=models.PROTECT)
    release = models.ForeignKey(Release, on_delete=models.PROTECT)
    gate = models.CharField("gate hash", max_length=64)
    runbooks = models.JSONField()
    alpha = models.FloatField()
    delta = models.FloatField()
    threshold = models.FloatField()
    n = models.PositiveIntegerField("clusters that the gate would have run")
    errors = models.PositiveIntegerField()
    upper_bound = models.FloatField()
    basis = models.CharField(max_length=16)
    sentence = models.TextField("the promise, in words")
    breaks = models.JSONField("what breaks it")
    action_digests = models.JSONField("runbook key to action digest at issue")
    window_from = models.DateTimeField()
    window_until = models.DateTimeField()
    issued_at = models.DateTimeField()
    expires_at = models.DateTimeField()
    revoked_at = models.DateTimeField(null=True)
    revoked_because = models.CharField(max_length=500, blank=True)
    monitor = models.JSONField("state of the live monitor", default=dict)

    objects = CustomerQuerySet.as_manager()

    class Meta:
        constraints = [
            probability("alpha"),
            probability("delta"),
            probability("threshold"),
            probability("upper_bound"),
            models.CheckConstraint(
                condition=Q(upper_bound__lte=F("alpha") + 1e-9), name="certificate_bound_below_alpha"
            ),
            models.CheckConstraint(condition=Q(expires_at__gt=F("issued_at")), name="certificate_expires_after_issue"),
        ]
        indexes = [models.Index(fields=["customer", "gate"], name="certificate_gate")]

    def __str__(self) -> str:
        return f"certificate {self.uuid}"
