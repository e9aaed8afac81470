"""Switches, limits and circuits of runbooks at a customer, and what runbooks may touch there."""

from django.db import models

from runbooks.environments import ENVIRONMENTS
from triage.models.customer import Customer, CustomerQuerySet
from triage.models.fields import EncryptedTextField


class RunbookState(models.Model):
    """A customer's switch, limits and error circuit for one runbook, and in which environments it may run."""

    customer = models.ForeignKey(Customer, on_delete=models.CASCADE)
    runbook = models.CharField(max_length=60)
    enabled = models.BooleanField(default=True)
    runs_an_hour = models.PositiveIntegerField("runs an hour, empty: the runbook's own limit", null=True, blank=True)
    concurrent = models.PositiveIntegerField(
        "runs at the same moment, empty: the runbook's own limit", null=True, blank=True
    )
    environments = models.JSONField("by environment: run, approve or never", default=dict, blank=True)
    circuit_closed_at = models.DateTimeField("older failures are forgiven", null=True, blank=True)
    action_version = models.CharField("SHA-256 of what another system would run", max_length=64, blank=True)
    action_version_at = models.DateTimeField("when the other system was last asked", null=True, blank=True)

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
    environment = models.CharField(
        "environment, empty: production; a host's own counts before it",
        max_length=20,
        choices=[(name, name) for name in ENVIRONMENTS],
        blank=True,
    )

    objects = CustomerQuerySet.as_manager()

    class Meta:
        constraints = [models.UniqueConstraint(fields=["customer", "key"], name="target_key_once")]

    def __str__(self) -> str:
        return f"{self.kind} {self.key}"
