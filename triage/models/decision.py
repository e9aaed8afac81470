"""What the model said of a text and what was decided; older ones stay, superseded."""

from django.db import models
from django.db.models import Q

from triage.models.customer import Customer, CustomerQuerySet, Mode
from triage.models.fields import one_of, probability


class Prediction(models.Model):
    """The ranked matches of one text by one release. Nothing points here, so that months can be cut off."""

    customer = models.ForeignKey(Customer, on_delete=models.PROTECT)
    ticket_id = models.BigIntegerField()
    text_hash = models.CharField(max_length=64)
    release = models.CharField("release version; empty where no model answered", max_length=60, blank=True)
    matches = models.JSONField('what tickets taught, best first: [{"label", "probability", "source": "labels"}]')
    new_articles = models.JSONField(
        'articles without tickets, by their texts: [{"label", "likeness", "in_front", "source": "text"}]', default=list
    )
    probability = models.FloatField("of the first match")
    score = models.FloatField("what certificates put their threshold on")
    evidence = models.JSONField()
    reason = models.CharField(max_length=1000)
    in_force = models.BooleanField(default=True)
    made_at = models.DateTimeField()

    objects = CustomerQuerySet.as_manager()

    class Meta:
        constraints = [
            probability("probability"),
            probability("score"),
            models.UniqueConstraint(
                fields=["ticket_id", "text_hash"], condition=Q(in_force=True), name="one_prediction_in_force"
            ),
        ]
        indexes = [models.Index(fields=["made_at"], name="prediction_month")]

    def __str__(self) -> str:
        return f"ticket {self.ticket_id} p={self.probability}"


class Decision(models.Model):
    """What is to happen with a ticket, why, and until when that may be acted on."""

    customer = models.ForeignKey(Customer, on_delete=models.PROTECT)
    ticket = models.ForeignKey("triage.Ticket", on_delete=models.CASCADE, related_name="decisions")
    text_hash = models.CharField(max_length=64)
    mode = models.CharField(max_length=16, choices=Mode)
    article = models.CharField("label of the chosen article", max_length=60, blank=True)
    runbook = models.CharField(max_length=60, blank=True)
    parameters = models.JSONField(default=dict)
    certificate = models.ForeignKey("triage.Certificate", null=True, on_delete=models.PROTECT)
    reason = models.CharField("in words", max_length=1000)
    in_force = models.BooleanField(default=True)
    made_at = models.DateTimeField()
    expires_at = models.DateTimeField(null=True)

    objects = CustomerQuerySet.as_manager()

    class Meta:
        constraints = [
            one_of("mode", Mode),
            models.UniqueConstraint(
                fields=["ticket", "text_hash"], condition=Q(in_force=True), name="one_decision_in_force"
            ),
            models.CheckConstraint(
                condition=~Q(mode="automate") | Q(certificate__isnull=False, expires_at__isnull=False),
                name="automate_needs_certificate_and_expiry",
            ),
        ]
        indexes = [models.Index(fields=["customer", "made_at"], name="decision_month")]

    def __str__(self) -> str:
        return f"{self.mode} ticket {self.ticket_id}"
