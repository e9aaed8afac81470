"""What no article answers: tickets that read alike and for which nobody found one."""

from django.db import models
from django.db.models import Q

from triage.models.article import Article
from triage.models.customer import Customer, CustomerQuerySet
from triage.models.ticket import Ticket


class Gap(models.Model):
    """One group of such tickets of a customer, found again by its members whenever the tickets are grouped anew.

    `words` name it; `weeks` counts its tickets by the week they were received in, oldest first; `notes` are what
    agents said it was about, most frequent first.
    """

    customer = models.ForeignKey(Customer, on_delete=models.CASCADE)
    words = models.CharField(max_length=120)
    terms = models.JSONField("words that its tickets share and others do not", default=list)
    notes = models.JSONField(default=list)
    size = models.PositiveIntegerField()
    weeks = models.JSONField(default=list)
    first_at = models.DateTimeField("its oldest ticket was received")
    last_at = models.DateTimeField("its newest ticket was received")
    made_at = models.DateTimeField()
    grouped_at = models.DateTimeField("when its tickets were last grouped")
    article = models.ForeignKey(
        Article, null=True, on_delete=models.SET_NULL, related_name="gaps", verbose_name="written for it"
    )
    dismissed_at = models.DateTimeField(null=True)
    dismissed_because = models.CharField(max_length=300, blank=True)
    dismissed_size = models.PositiveIntegerField("how many tickets it had then", default=0)

    objects = CustomerQuerySet.as_manager()

    class Meta:
        constraints = [models.CheckConstraint(condition=Q(size__gte=0), name="gap_has_a_size")]
        indexes = [models.Index(fields=["customer", "size", "id"], name="gap_by_size")]

    def __str__(self) -> str:
        return self.words


class GapMember(models.Model):
    """A ticket of a gap. `place`: 0 is the one most like all others."""

    gap = models.ForeignKey(Gap, on_delete=models.CASCADE, related_name="members")
    ticket = models.OneToOneField(Ticket, on_delete=models.CASCADE, related_name="gap_member")
    place = models.PositiveIntegerField()

    class Meta:
        indexes = [models.Index(fields=["gap", "place"], name="gap_member_place")]

    def __str__(self) -> str:
        return f"{self.ticket_id} in {self.gap_id}"
