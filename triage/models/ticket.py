"""Tickets, the draws made for them at intake, and storms of equal ones."""

import uuid
from datetime import datetime

from django.db import models
from django.db.models import F, Q, Value
from django.db.models.functions import Coalesce
from django.utils.translation import gettext_lazy as _

from triage.models.customer import Customer, CustomerQuerySet
from triage.models.fields import QuarterHours, one_of, probability
from triage.models.source import Source


class TicketStatus(models.TextChoices):
    """Where the ticket stands on its path."""

    RECEIVED = "received", _("Received")
    CLASSIFIED = "classified", _("Classified")
    OBSERVED = "observed", _("Observed")
    QUEUED = "queued", _("Queued for its runbook")
    LINKED = "linked", _("Linked to a storm's run")
    WAITING_APPROVAL = "waiting_approval", _("Waiting for approval")
    RUNNING = "running", _("Runbook running")
    NEEDS_REVIEW = "needs_review", _("Needs a person")
    ANSWERED = "answered", _("Answered")
    RESOLVED = "resolved", _("Resolved")
    WITHDRAWN = "withdrawn", _("Withdrawn")


OPEN = (TicketStatus.NEEDS_REVIEW, TicketStatus.WAITING_APPROVAL)
"""Where a person has to do something."""

NEVER_DUE = 2**31
"""The quarter of an hour in which tickets without a due time are due: after all others."""


class TicketActor(models.TextChoices):
    """Who wrote the ticket."""

    PERSON = "person", _("Person")
    MACHINE = "machine", _("Machine")


class Ticket(models.Model):
    """One request or incident as the ITSM knows it."""

    Status = TicketStatus

    Actor = TicketActor

    uuid = models.UUIDField(default=uuid.uuid4, unique=True, editable=False)
    customer = models.ForeignKey(Customer, null=True, on_delete=models.PROTECT)
    source = models.ForeignKey(Source, on_delete=models.PROTECT)
    external_id = models.CharField(max_length=200)
    subject = models.TextField(blank=True)
    body = models.TextField(blank=True)
    requester = models.CharField(max_length=320, blank=True)
    channel = models.CharField(max_length=40, blank=True)
    actor = models.CharField(max_length=16, choices=Actor, default=Actor.PERSON)
    language = models.CharField("as the sender stated it", max_length=16, blank=True)
    kind = models.CharField(max_length=40, default="incident")
    itsm_status = models.CharField(max_length=60, blank=True)
    itsm_group = models.CharField("assigned to, in the ITSM", max_length=200, blank=True)
    priority = models.CharField(max_length=20, blank=True)
    due_at = models.DateTimeField(null=True)
    fields = models.JSONField("structured fields, names and values as text", default=dict)
    attachments = models.JSONField("names and types", default=list)
    created_at = models.DateTimeField("in the ITSM")
    updated_at = models.DateTimeField("in the ITSM")
    sequence = models.BigIntegerField(null=True)
    received_at = models.DateTimeField(db_index=True)
    text_hash = models.CharField("SHA-256 of the classified text", max_length=64)
    storm_key = models.CharField("SHA-256 of source, target and masked text", max_length=64, db_index=True)
    status = models.CharField(max_length=20, choices=Status, default=Status.RECEIVED)
    reason = models.CharField("why it stands where it stands, in words", max_length=1000, blank=True)
    changed_at = models.DateTimeField("of the status", db_index=True)
    claim = models.UUIDField(null=True)
    claim_until = models.DateTimeField(null=True)
    attempts = models.PositiveSmallIntegerField(default=0)
    occasion = models.PositiveSmallIntegerField("rises when reopened or ordered by a person", default=1)
    linked_run = models.ForeignKey("triage.Run", null=True, on_delete=models.SET_NULL, related_name="linked_tickets")
    waiting_update = models.BinaryField("a change that came while the runbook ran", null=True)
    held_by = models.ForeignKey("triage.Person", null=True, on_delete=models.SET_NULL)
    held_until = models.DateTimeField(null=True)
    alike = models.CharField("SHA-256 of the masked text, empty until it is classified", max_length=64, blank=True)
    spoken = models.CharField("language as recognised in the text", max_length=16, blank=True)
    turn = models.PositiveSmallIntegerField("0..999: the less, the more its answer is worth", default=500)
    place = models.GeneratedField(
        expression=Coalesce(QuarterHours("due_at"), Value(NEVER_DUE)) * Value(1000) + F("turn"),
        output_field=models.BigIntegerField(),
        db_persist=True,
        verbose_name="in the desk's queue: due first, then turn",
    )

    objects = CustomerQuerySet.as_manager()

    class Meta:
        constraints = [
            one_of("status", TicketStatus),
            one_of("actor", TicketActor),
            models.UniqueConstraint(fields=["source", "external_id"], name="ticket_once_per_source"),
        ]
        indexes = [
            models.Index(fields=["id"], condition=Q(status="received"), name="ticket_waits_for_model"),
            models.Index(fields=["status", "changed_at"], name="ticket_by_status"),
            models.Index(fields=["id"], condition=Q(waiting_update__isnull=False), name="ticket_has_update"),
            models.Index(fields=["place", "id"], condition=Q(status__in=OPEN), name="ticket_open"),
            models.Index(fields=["customer", "place", "id"], condition=Q(status__in=OPEN), name="ticket_queue"),
            models.Index(
                fields=["customer", "alike", "place", "id"], condition=Q(status="needs_review"), name="ticket_alike"
            ),
            models.Index(fields=["customer", "text_hash"], name="ticket_text"),
        ]

    def __str__(self) -> str:
        return self.external_id

    def is_held(self, *, at: datetime) -> bool:
        """Whether somebody has it open, `held_by`, and nobody else may decide it."""
        return self.held_by_id is not None and self.held_until is not None and self.held_until > at


class DrawPurpose(models.TextChoices):
    """What the cluster was drawn for."""

    NONE = "none", _("Not drawn")
    HOLDOUT = "holdout", _("Sealed holdout: never automated")
    VERIFY = "verify", _("Verified afterwards")
    REOPENED = "reopened", _("Reopened after a run: always verified")


class Draw(models.Model):
    """The random choice at intake for a ticket's cluster: storm key and UTC day."""

    Purpose = DrawPurpose

    ticket = models.OneToOneField(Ticket, on_delete=models.CASCADE, related_name="draw")
    customer = models.ForeignKey(Customer, null=True, on_delete=models.PROTECT)
    cluster = models.CharField("storm key and UTC day, hashed", max_length=64, db_index=True)
    purpose = models.CharField(max_length=16, choices=Purpose)
    probability = models.FloatField("of having been drawn for this purpose")
    drawn_at = models.DateTimeField()

    objects = CustomerQuerySet.as_manager()

    class Meta:
        constraints = [one_of("purpose", DrawPurpose), probability("probability")]
        indexes = [
            models.Index(
                fields=["customer", "ticket"],
                condition=Q(purpose__in=("holdout", "verify", "reopened")),
                name="draw_drawn",
            )
        ]

    def __str__(self) -> str:
        return f"{self.purpose} p={self.probability}"


class Storm(models.Model):
    """Equal machine tickets on one target: the first one's run answers for all."""

    customer = models.ForeignKey(Customer, on_delete=models.PROTECT)
    storm_key = models.CharField(max_length=64)
    first_ticket = models.ForeignKey(Ticket, on_delete=models.PROTECT, related_name="+")
    started_at = models.DateTimeField()
    until = models.DateTimeField()

    objects = CustomerQuerySet.as_manager()

    class Meta:
        constraints = [models.UniqueConstraint(fields=["customer", "storm_key", "started_at"], name="storm_once")]

    def __str__(self) -> str:
        return self.storm_key[:12]
