"""What has to be told: to the ITSM about a ticket, to people about what needs them."""

from django.db import models

from triage.models.customer import Customer, CustomerQuerySet
from triage.models.fields import one_of
from triage.models.person import Person
from triage.models.ticket import Ticket


class WritebackStatus(models.TextChoices):
    """Whether the ITSM has it."""

    WAITING = "waiting", "Waiting"
    DONE = "done", "Done"
    GIVEN_UP = "given_up", "Given up"


class Writeback(models.Model):
    """One thing to tell the ITSM, retried by itself; its key makes a retry harmless."""

    Status = WritebackStatus

    customer = models.ForeignKey(Customer, on_delete=models.PROTECT)
    ticket = models.ForeignKey(Ticket, on_delete=models.PROTECT, related_name="writebacks")
    key = models.CharField(max_length=120, unique=True)
    what = models.CharField("note or resolve", max_length=16)
    content = models.JSONField()
    status = models.CharField(max_length=16, choices=Status, default=Status.WAITING)
    reason = models.CharField(max_length=500, blank=True)
    attempts = models.PositiveSmallIntegerField(default=0)
    claim_until = models.DateTimeField(null=True)
    next_at = models.DateTimeField()
    created_at = models.DateTimeField()
    done_at = models.DateTimeField(null=True)

    objects = CustomerQuerySet.as_manager()

    class Meta:
        constraints = [one_of("status", WritebackStatus)]
        indexes = [models.Index(fields=["status", "next_at"], name="writeback_due")]

    def __str__(self) -> str:
        return self.key


class Notification(models.Model):
    """Something a person must hear of: an unknown run, a waiting approval, a revoked certificate."""

    customer = models.ForeignKey(Customer, null=True, on_delete=models.PROTECT)
    kind = models.CharField(max_length=40)
    key = models.CharField("one notification for one occasion", max_length=160, unique=True)
    text = models.CharField(max_length=1000)
    link = models.CharField(max_length=300, blank=True)
    created_at = models.DateTimeField()
    seen_by = models.ForeignKey(Person, null=True, on_delete=models.SET_NULL)
    seen_at = models.DateTimeField(null=True)

    objects = CustomerQuerySet.as_manager()

    def __str__(self) -> str:
        return self.text
