"""The log of what happened, append-only."""

from django.db import models


class AuditEvent(models.Model):
    """One thing that happened to one row. Nothing points here and rows are never changed."""

    at = models.DateTimeField(db_index=True)
    customer_id = models.BigIntegerField(null=True)
    subject = models.CharField("table of the row", max_length=40)
    subject_id = models.BigIntegerField()
    event = models.CharField(max_length=60)
    before = models.CharField(max_length=40, blank=True)
    after = models.CharField(max_length=40, blank=True)
    actor = models.CharField("person:<id>, system:<part>", max_length=80)
    reason = models.CharField(max_length=1000, blank=True)

    class Meta:
        indexes = [
            models.Index(fields=["subject", "subject_id", "id"], name="audit_of_a_row"),
            models.Index(fields=["customer_id", "id"], name="audit_of_a_customer"),
        ]

    def __str__(self) -> str:
        return f"{self.subject} {self.subject_id} {self.event}"
