"""How this installation as a whole stands: one row, read before every start."""

from django.db import models
from django.db.models import Q


class Standing(models.Model):
    """The one row (primary key 1) that holds for all customers: whether anything may start, and the lake's tick."""

    automation_enabled = models.BooleanField("off stops every start at every customer", default=True)
    off_because = models.CharField("why it is off, in words", max_length=500, blank=True)
    off_since = models.DateTimeField(null=True, blank=True)
    off_by = models.ForeignKey(
        "triage.Person", null=True, blank=True, on_delete=models.SET_NULL, verbose_name="empty: the product itself"
    )
    tick = models.BigIntegerField("rises while this database is the one in use", default=0)
    ticked_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        constraints = [
            models.CheckConstraint(condition=Q(pk=1), name="standing_is_one_row"),
            models.CheckConstraint(
                condition=Q(automation_enabled=True) | Q(off_since__isnull=False), name="standing_off_has_a_time"
            ),
        ]

    def __str__(self) -> str:
        return "on" if self.automation_enabled else f"off: {self.off_because}"
