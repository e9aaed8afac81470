"""Labels that are probably wrong, as a training found them, and what a person said of each."""

from django.db import models
from django.utils.translation import gettext_lazy as _

from triage.models.customer import Customer, CustomerQuerySet
from triage.models.fields import one_of, probability
from triage.models.person import Person
from triage.models.release import Release
from triage.models.review import Label


class SuspectAnswer(models.TextChoices):
    """What the person said of the label."""

    OPEN = "open", _("Not looked at yet")
    KEEP = "keep", _("The label is right")
    CHANGE = "change", _("Another article")
    DROP = "drop", _("Not a label")


class Suspect(models.Model):
    """A label that models which had not seen it contradict. Whatever is listed here certifies nothing any more.

    `probability` is that of the `likely` label, `self_confidence` that of the given one, both out of fold.
    `text_key` stands for its text by hash, so that it stays spent when the label itself is gone.
    """

    Answer = SuspectAnswer

    customer = models.ForeignKey(Customer, on_delete=models.CASCADE)
    release = models.ForeignKey(Release, on_delete=models.CASCADE, related_name="suspects")
    label = models.ForeignKey(Label, on_delete=models.CASCADE, related_name="suspected")
    text_key = models.CharField(max_length=16)
    given = models.CharField("the label it had", max_length=60)
    likely = models.CharField(max_length=60)
    probability = models.FloatField()
    self_confidence = models.FloatField()
    place = models.PositiveIntegerField("0 is the most suspicious")
    answer = models.CharField(max_length=10, choices=SuspectAnswer, default=SuspectAnswer.OPEN)
    answered_by = models.ForeignKey(Person, null=True, on_delete=models.SET_NULL, related_name="+")
    answered_at = models.DateTimeField(null=True)
    made = models.ForeignKey(
        Label, null=True, on_delete=models.SET_NULL, related_name="+", verbose_name="the label it was changed to"
    )

    objects = CustomerQuerySet.as_manager()

    class Meta:
        constraints = [
            one_of("answer", SuspectAnswer),
            probability("probability"),
            probability("self_confidence"),
            models.UniqueConstraint(fields=["release", "label"], name="suspect_once_a_release"),
        ]
        indexes = [models.Index(fields=["customer", "answer", "place"], name="suspect_open")]

    def __str__(self) -> str:
        return f"{self.given}, likely {self.likely}"
