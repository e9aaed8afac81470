"""Executions of runbooks and the approvals that some of them need."""

import uuid

from django.db import models
from django.db.models import Q
from django.utils.translation import gettext_lazy as _

from triage.models.customer import Customer, CustomerQuerySet
from triage.models.fields import one_of
from triage.models.person import Person
from triage.models.runbook import Target
from triage.models.ticket import Ticket


class RunStatus(models.TextChoices):
    """How far the execution came."""

    REQUESTED = "requested", _("Requested")
    CLAIMED = "claimed", _("Claimed by a worker")
    STARTING = "starting", _("Started")
    SUCCEEDED = "succeeded", _("Succeeded")
    FAILED = "failed", _("Failed")
    UNDONE = "undone", _("Undone")
    UNDO_FAILED = "undo_failed", _("Undo failed")
    UNKNOWN = "unknown", _("Unknown")
    VOID = "void", _("Void")


class Run(models.Model):
    """An execution for a ticket. UNKNOWN counts as live until a person settles it."""

    Status = RunStatus

    LIVE = (Status.REQUESTED, Status.CLAIMED, Status.STARTING, Status.UNKNOWN)

    uuid = models.UUIDField(default=uuid.uuid4, unique=True, editable=False)
    customer = models.ForeignKey(Customer, on_delete=models.PROTECT)
    ticket = models.ForeignKey(Ticket, on_delete=models.PROTECT, related_name="runs")
    runbook = models.CharField(max_length=60)
    occasion = models.PositiveSmallIntegerField(default=1)
    target = models.ForeignKey(Target, on_delete=models.PROTECT)
    target_object = models.CharField("what on the target: an account, a host", max_length=200)
    parameters = models.JSONField(default=dict)
    decision = models.ForeignKey("triage.Decision", null=True, on_delete=models.PROTECT)
    text_hash = models.CharField(max_length=64)
    action_digest = models.CharField(max_length=64)
    ordered_by = models.ForeignKey(Person, null=True, on_delete=models.PROTECT)
    status = models.CharField(max_length=16, choices=Status, default=Status.REQUESTED)
    reason = models.CharField(max_length=1000, blank=True)
    fence = models.PositiveIntegerField("rises with every claim", default=0)
    claim_until = models.DateTimeField(null=True)
    attempts = models.PositiveSmallIntegerField(default=0)
    hold_until = models.DateTimeField("switch, window or limit; no attempt is counted", null=True)
    window_at = models.DateTimeField("waits for a window that opens then, or a freeze that ends then", null=True)
    requested_at = models.DateTimeField(db_index=True)
    started_at = models.DateTimeField(null=True)
    finished_at = models.DateTimeField(null=True)
    phase = models.CharField("what is going on now", max_length=20, blank=True)
    phases = models.JSONField(default=list)
    output = models.TextField(blank=True)
    job = models.TextField("where jobs elsewhere stand, for the worker that goes on with them", blank=True)
    alarm = models.BooleanField("opens the circuit alone", default=False)
    stop_asked_at = models.DateTimeField(null=True)
    stop_asked_by = models.ForeignKey(Person, null=True, on_delete=models.PROTECT, related_name="+")

    objects = CustomerQuerySet.as_manager()

    class Meta:
        constraints = [
            one_of("status", RunStatus),
            models.UniqueConstraint(fields=["ticket", "runbook", "occasion"], name="run_once_per_occasion"),
            models.UniqueConstraint(
                fields=["ticket"],
                condition=Q(status__in=["requested", "claimed", "starting", "unknown"]),
                name="one_live_run_per_ticket",
            ),
            models.UniqueConstraint(
                fields=["runbook", "target", "target_object"],
                condition=Q(status__in=["requested", "claimed", "starting", "unknown"]),
                name="one_live_run_per_target",
            ),
        ]
        indexes = [
            # whole, since SQLite uses no partial index for a list of values: recovery asks every second
            models.Index(fields=["status", "claim_until"], name="run_by_status"),
            models.Index(fields=["customer", "runbook", "finished_at"], name="run_ended"),
            models.Index(fields=["customer", "runbook", "started_at"], name="run_started"),
        ]

    def __str__(self) -> str:
        return f"{self.runbook} for {self.ticket_id}"


class RunPiece(models.Model):
    """A piece of what a run writes while it goes on, masked; its whole output stands in the run when it has ended."""

    run = models.ForeignKey(Run, on_delete=models.CASCADE, related_name="pieces")
    at = models.DateTimeField()
    text = models.TextField()

    def __str__(self) -> str:
        return f"{len(self.text)} characters of {self.run_id}"


class ApprovalStatus(models.TextChoices):
    """What became of the request."""

    ASKED = "asked", _("Asked")
    GRANTED = "granted", _("Granted")
    REFUSED = "refused", _("Refused")
    EXPIRED = "expired", _("Expired")
    VOID = "void", _("Void")


class Approval(models.Model):
    """A request for a person's word, bound to exactly what would happen."""

    Status = ApprovalStatus

    uuid = models.UUIDField(default=uuid.uuid4, unique=True, editable=False)
    customer = models.ForeignKey(Customer, on_delete=models.PROTECT)
    ticket = models.ForeignKey(Ticket, on_delete=models.PROTECT, related_name="approvals")
    decision = models.ForeignKey("triage.Decision", on_delete=models.PROTECT)
    runbook = models.CharField(max_length=60)
    parameters = models.JSONField(default=dict)
    binding = models.CharField("SHA-256 of runbook version, parameters and target", max_length=64)
    people_needed = models.PositiveSmallIntegerField(default=1)
    status = models.CharField(max_length=16, choices=Status, default=Status.ASKED)
    asked_at = models.DateTimeField()
    expires_at = models.DateTimeField()
    first_person = models.ForeignKey(Person, null=True, on_delete=models.PROTECT, related_name="+")
    second_person = models.ForeignKey(Person, null=True, on_delete=models.PROTECT, related_name="+")
    answered_at = models.DateTimeField(null=True)
    refusal = models.CharField(max_length=500, blank=True)

    objects = CustomerQuerySet.as_manager()

    class Meta:
        constraints = [
            one_of("status", ApprovalStatus),
            models.UniqueConstraint(
                fields=["ticket"], condition=Q(status="asked"), name="one_open_approval_per_ticket"
            ),
            models.CheckConstraint(condition=Q(people_needed__in=[1, 2]), name="approval_people_1_or_2"),
        ]
        indexes = [
            models.Index(fields=["status", "expires_at"], name="approval_by_status"),
            models.Index(fields=["binding", "status"], name="approval_by_binding"),
        ]

    def __str__(self) -> str:
        return f"approval of {self.runbook} for {self.ticket_id}"
