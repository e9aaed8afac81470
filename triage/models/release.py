"""Model versions and their way into force."""

from django.db import models
from django.db.models import Q
from django.utils.translation import gettext_lazy as _

from triage.models.customer import Customer, CustomerQuerySet
from triage.models.fields import one_of, probability


class ReleaseStatus(models.TextChoices):
    """How far it has come."""

    CANDIDATE = "candidate", _("Candidate")
    SHADOW = "shadow", _("Shadow")
    CANARY = "canary", _("Canary")
    IN_FORCE = "in_force", _("In force")
    RETIRED = "retired", _("Retired")


class Release(models.Model):
    """One trained model of one customer. At most one is in force."""

    Status = ReleaseStatus

    customer = models.ForeignKey(Customer, on_delete=models.PROTECT)
    version = models.CharField(max_length=60)
    digest = models.CharField("of the model's content", max_length=64)
    status = models.CharField(max_length=16, choices=Status, default=Status.CANDIDATE)
    reason = models.CharField(max_length=500, blank=True)
    trained_until = models.DateTimeField("newest label that training saw")
    rows = models.PositiveIntegerField()
    accuracy = models.FloatField("on rows that training did not see", null=True)
    measures = models.JSONField(default=dict)
    created_at = models.DateTimeField()
    in_force_at = models.DateTimeField(null=True)

    objects = CustomerQuerySet.as_manager()

    class Meta:
        constraints = [
            one_of("status", ReleaseStatus),
            probability("accuracy", null=True),
            models.UniqueConstraint(fields=["customer", "version"], name="release_version_once"),
            models.UniqueConstraint(fields=["customer"], condition=Q(status="in_force"), name="one_release_in_force"),
        ]

    def __str__(self) -> str:
        return self.version
