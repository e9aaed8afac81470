"""Switches and circuits of runbooks, and what runbooks may touch at a customer."""

from django.db import models

from triage.models.customer import Customer, CustomerQuerySet
from triage.models.fields import EncryptedTextField


class RunbookState(models.Model):
    """A customer's switch and error circuit for one runbook."""

    customer = models.ForeignKey(Customer, on_delete=models.CASCADE)
    runbook = models.CharField(max_length=60)
    enabled = models.BooleanField(default=True)
    runs_an_hour = models.PositiveIntegerField("empty: the runbook's own limit", null=True, blank=True)
    circuit_closed_at = models.DateTimeField("older failures are forgiven", null=True, blank=True)

    objects = CustomerQuerySet.as_manager()

    class Meta:
        constraints = [models.UniqueConstraint(fields=["customer", "runbook"], name="runbook_state_once")]

    def __str__(self) -> str:
        return f"{self.runbook} at {self.customer_id}"


class Target(models.Model):
    """A directory, host group or job system at a customer, with its credentials encrypted at rest."""

    customer = models.ForeignKey(Customer, on_delete=models.CASCADE)
    key = models.SlugField(max_length=60)
    kind = models.CharField(max_length=20)
    settings = EncryptedTextField("connection and credentials as JSON")

    objects = CustomerQuerySet.as_manager()

    class Meta:
        constraints = [models.UniqueConstraint(fields=["customer", "key"], name="target_key_once")]

    def __str__(self) -> str:
        return f"{self.kind} {self.key}"
