"""What has to be told: to the ITSM about a ticket, to people about what needs them."""

import uuid

from django.db import models
from django.db.models import Q
from django.utils.translation import gettext_lazy as _

from triage.models.customer import Customer, CustomerQuerySet
from triage.models.fields import EncryptedTextField, one_of
from triage.models.person import Person
from triage.models.ticket import Ticket


class WritebackStatus(models.TextChoices):
    """Whether the ITSM has it."""

    WAITING = "waiting", _("Waiting")
    DONE = "done", _("Done")
    GIVEN_UP = "given_up", _("Given up")


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
    """Something a person or another program must hear of: an unknown run, a waiting approval, a revoked certificate."""

    customer = models.ForeignKey(Customer, null=True, on_delete=models.PROTECT)
    kind = models.CharField(max_length=40)
    key = models.CharField("one notification for one occasion", max_length=160, unique=True)
    text = models.CharField(max_length=1000)
    link = models.CharField(max_length=300, blank=True)
    desk = models.BooleanField("shown on the desk; else told to other programs only", default=True)
    data = models.JSONField("what an outgoing event says besides the text", default=dict)
    created_at = models.DateTimeField()
    seen_by = models.ForeignKey(Person, null=True, on_delete=models.SET_NULL)
    seen_at = models.DateTimeField(null=True)

    objects = CustomerQuerySet.as_manager()

    def __str__(self) -> str:
        return self.text


class RunbookOwner(models.Model):
    """Who hears of a runbook's troubles at a customer, or at all customers that name nobody themselves."""

    customer = models.ForeignKey(
        Customer, null=True, blank=True, on_delete=models.CASCADE, verbose_name="customer; empty: all"
    )
    runbook = models.CharField(max_length=60)
    people = models.ManyToManyField(Person, blank=True, related_name="+")
    mail = models.EmailField("mail address of a team", blank=True)

    objects = CustomerQuerySet.as_manager()

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["customer", "runbook"], name="runbook_owner_once"),
            models.UniqueConstraint(
                fields=["runbook"], condition=Q(customer__isnull=True), name="runbook_owner_once_for_all"
            ),
        ]

    def __str__(self) -> str:
        return f"owner of {self.runbook}"


class EventEndpoint(models.Model):
    """Another program that is told by signed webhooks; switched off, visibly, when it fails for days."""

    customer = models.ForeignKey(
        Customer, null=True, blank=True, on_delete=models.CASCADE, verbose_name="customer; empty: all"
    )
    name = models.CharField(max_length=100)
    url = models.CharField("address", max_length=500)
    secrets = EncryptedTextField("signing secrets, one a line, newest first", blank=True)
    kinds = models.JSONField("which events; none: all", default=list, blank=True)
    internal = models.BooleanField("may lie in our own network (loopback, private addresses)", default=False)
    enabled = models.BooleanField(default=True)
    failing_since = models.DateTimeField(null=True, blank=True, editable=False)
    disabled_because = models.CharField(max_length=500, blank=True, editable=False)
    created_at = models.DateTimeField(auto_now_add=True)

    objects = CustomerQuerySet.as_manager()

    def __str__(self) -> str:
        return self.name

    def signing_secrets(self) -> list[str]:
        """The newest secret and, while one is being rotated, the one before: each message carries both signatures."""
        return [line.strip() for line in self.secrets.splitlines() if line.strip()][:2]


class MailChoice(models.Model):
    """What a person chose for one kind of notification; without a row the kind's own default holds."""

    person = models.ForeignKey(Person, on_delete=models.CASCADE, related_name="mail_choices")
    kind = models.CharField(max_length=40)
    wanted = models.BooleanField()

    class Meta:
        constraints = [models.UniqueConstraint(fields=["person", "kind"], name="mail_choice_once")]

    def __str__(self) -> str:
        return f"{self.person_id}: {self.kind} {'by mail' if self.wanted else 'not by mail'}"


class PostingStatus(models.TextChoices):
    """Whether it has arrived."""

    WAITING = "waiting", _("Waiting")
    DONE = "done", _("Done")
    GIVEN_UP = "given_up", _("Given up")


class Posting(models.Model):
    """One notification on its way to one mail address or endpoint: the outbox. Retried by itself."""

    Status = PostingStatus

    uuid = models.UUIDField(default=uuid.uuid4, unique=True, editable=False)
    notification = models.ForeignKey(Notification, on_delete=models.CASCADE, related_name="postings")
    address = models.EmailField("mail address, in small letters", blank=True)
    why = models.CharField("why this address is told, in words", max_length=200, blank=True)
    endpoint = models.ForeignKey(EventEndpoint, null=True, on_delete=models.CASCADE, related_name="postings")
    status = models.CharField(max_length=16, choices=Status, default=Status.WAITING)
    reason = models.CharField(max_length=500, blank=True)
    attempts = models.PositiveSmallIntegerField(default=0)
    claim_until = models.DateTimeField(null=True)
    next_at = models.DateTimeField()
    created_at = models.DateTimeField()
    done_at = models.DateTimeField(null=True)
    sent_in = models.UUIDField("the mail that carried it; several may share one", null=True)

    class Meta:
        constraints = [
            one_of("status", PostingStatus),
            models.CheckConstraint(
                condition=Q(address="", endpoint__isnull=False) | (~Q(address="") & Q(endpoint__isnull=True)),
                name="posting_goes_to_one_place",
            ),
            models.UniqueConstraint(
                fields=["notification", "address"], condition=~Q(address=""), name="posting_once_by_mail"
            ),
            models.UniqueConstraint(
                fields=["notification", "endpoint"], condition=Q(endpoint__isnull=False), name="posting_once_by_event"
            ),
        ]
        indexes = [
            models.Index(fields=["status", "next_at"], name="posting_due"),
            models.Index(fields=["address", "done_at"], name="posting_sent"),
        ]

    def __str__(self) -> str:
        return f"{self.notification_id} to {self.address or self.endpoint_id}"
