"""Answers of the API that are kept for a day, so that a request sent twice acts once."""

from django.db import models

from triage.models.person import Token


class KeptAnswer(models.Model):
    """The answer to one POST with an Idempotency-Key. `status` is null while the request is under way."""

    token = models.ForeignKey(Token, on_delete=models.CASCADE)
    key = models.CharField(max_length=200)
    asked = models.CharField("SHA-256 of method, address and body", max_length=64)
    status = models.PositiveSmallIntegerField(null=True)
    content = models.TextField(blank=True)
    content_type = models.CharField(max_length=80, blank=True)
    location = models.CharField(max_length=200, blank=True)
    made_at = models.DateTimeField(db_index=True)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["token", "key"], name="one_answer_per_key")]

    def __str__(self) -> str:
        return f"{self.key}: {self.status or 'under way'}"
