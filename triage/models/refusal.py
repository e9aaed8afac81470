"""Messages that the door turned away, so that an administrator sees why. Nothing else comes of them."""

from django.db import models

from triage.models.source import Source


class Refusal(models.Model):
    """One refused message: few are kept, for a short time, and cut short, since strangers can send them."""

    source = models.ForeignKey(Source, on_delete=models.CASCADE, related_name="refusals")
    at = models.DateTimeField()
    status = models.PositiveSmallIntegerField("what was answered")
    reason = models.CharField("as it was answered", max_length=500)
    hint = models.CharField("what an administrator may know besides", max_length=500, blank=True)
    proved = models.BooleanField("whoever sent it holds the secret", default=False)
    headers = models.JSONField("names and values; values that could open something are left out", default=dict)
    size = models.PositiveIntegerField("bytes")
    body = models.BinaryField("the first bytes", default=bytes)

    class Meta:
        indexes = [models.Index(fields=["source", "id"], name="refusal_of_source")]

    def __str__(self) -> str:
        return f"{self.status}: {self.reason}"
