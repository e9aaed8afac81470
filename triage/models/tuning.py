"""What pages show of a release besides its state: the rows it was tuned on, and how it differs from another."""

from django.db import models

from triage.models.customer import Customer, CustomerQuerySet
from triage.models.release import Release


class Tuning(models.Model):
    """Out-of-fold answers to a release's training rows: tuned on, never a draw, no proof of anything.

    `rows`: {predicted label: [[score, probability, 1 if right else 0], ...]}; `labels`: {label: training rows}.
    """

    release = models.OneToOneField(Release, on_delete=models.CASCADE, related_name="tuning")
    rows = models.JSONField(default=dict)
    labels = models.JSONField(default=dict)
    report = models.JSONField("what training measured out of fold, by name", default=dict)

    def __str__(self) -> str:
        return f"tuning of {self.release_id}"


class Comparison(models.Model):
    """Which tickets of the last days one release answers otherwise than another. Sealed tickets are not among them."""

    customer = models.ForeignKey(Customer, on_delete=models.CASCADE)
    new = models.ForeignKey(Release, on_delete=models.CASCADE, related_name="+")
    old = models.ForeignKey(Release, on_delete=models.CASCADE, related_name="+")
    made_at = models.DateTimeField()
    since = models.DateTimeField()
    tickets = models.PositiveIntegerField("looked at")
    differing = models.PositiveIntegerField("of these, whose first article differs")
    found = models.JSONField('most frequent first: [{"old", "new": labels, "count", "tickets": uuids}]', default=list)

    objects = CustomerQuerySet.as_manager()

    class Meta:
        constraints = [models.UniqueConstraint(fields=["new", "old"], name="comparison_once")]

    def __str__(self) -> str:
        return f"{self.new_id} against {self.old_id}"
