"""Messages from sources as they came, and the keys that make a redelivery harmless."""

from django.db import models
from django.utils.translation import gettext_lazy as _

from triage.models.fields import one_of


class DeliveryStatus(models.TextChoices):
    """What became of the message. Landing in the lake is separate."""

    STORED = "stored", _("Stored")
    APPLIED = "applied", _("Applied")
    QUARANTINED = "quarantined", _("Quarantined")


class Delivery(models.Model):
    """One message: its raw bytes until they have landed in the lake, then where they lie. Nothing points here."""

    Status = DeliveryStatus

    uuid = models.UUIDField(unique=True)
    source_id = models.BigIntegerField()
    customer_id = models.BigIntegerField(null=True)
    key = models.CharField(max_length=200)
    external_id = models.CharField("the ticket, where it told of one alone", max_length=200, blank=True)
    received_at = models.DateTimeField(db_index=True)
    status = models.CharField(max_length=16, choices=Status, default=Status.STORED)
    reason = models.CharField(max_length=500, blank=True)
    headers = models.JSONField(default=dict)
    sha256 = models.CharField(max_length=64)
    size = models.PositiveIntegerField("bytes")
    body = models.BinaryField("raw bytes; empty once landed", null=True)
    lake_key = models.CharField("the object that holds or will hold it", max_length=300, blank=True)
    landed_at = models.DateTimeField(null=True)

    class Meta:
        constraints = [
            one_of("status", DeliveryStatus),
            models.CheckConstraint(
                condition=models.Q(body__isnull=False) | models.Q(landed_at__isnull=False),
                name="delivery_bytes_somewhere",
            ),
        ]
        indexes = [
            models.Index(fields=["id"], condition=models.Q(landed_at__isnull=True), name="delivery_waits_for_lake"),
            models.Index(fields=["lake_key"], name="delivery_lake_key"),
            models.Index(fields=["source_id", "id"], name="delivery_of_source"),
            models.Index(
                fields=["source_id", "status", "id"], condition=~models.Q(status="applied"), name="delivery_not_applied"
            ),
            models.Index(
                fields=["source_id", "external_id", "id"],
                condition=~models.Q(external_id=""),
                name="delivery_of_ticket",
            ),
        ]

    def __str__(self) -> str:
        return f"delivery {self.uuid}"


class DeliveryKey(models.Model):
    """Says that a message was seen. Kept 30 days, then a redelivery would be taken as new."""

    source_id = models.BigIntegerField()
    key = models.CharField(max_length=200)
    delivery = models.UUIDField()
    sha256 = models.CharField(max_length=64)
    seen_at = models.DateTimeField(db_index=True)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["source_id", "key"], name="delivery_key_once")]

    def __str__(self) -> str:
        return self.key
