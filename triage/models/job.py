"""Long background work and proof that workers are alive."""

from datetime import datetime
from typing import Any

from django.db import models
from django.utils.translation import gettext_lazy as _

from triage.models.customer import Customer
from triage.models.fields import one_of


class JobStatus(models.TextChoices):
    """How far the job came."""

    WAITING = "waiting", _("Waiting")
    LEASED = "leased", _("Leased")
    DONE = "done", _("Done")
    FAILED = "failed", _("Failed")


LEARNING = ("train", "compare", "gaps")
"""Kinds of job that `triage.learning` does for a customer, one row for each piece of work."""


class JobQuerySet(models.QuerySet["Job"]):
    """Jobs."""

    def put_in_line(self, name: str, *, at: datetime, over_since: datetime | None = None, **given: Any) -> "Job | None":
        """The job with what is `given`, waiting for a worker: a new row, or the one that has ended.

        None where it waits, is under way, or has not been over since then.
        """
        fresh = {"status": JobStatus.WAITING, "holder": None, "leased_until": None, "progress": "", "changed_at": at}
        job, made = self.get_or_create(name=name, defaults={**given, **fresh})
        over = self.filter(pk=job.pk, status__in=[JobStatus.DONE, JobStatus.FAILED])
        if over_since is not None:
            over = over.filter(changed_at__lte=over_since)
        return job if made or over.update(**given, **fresh) else None


class Job(models.Model):
    """A lease row: one holder at a time, so that a long job or the reconciler runs once."""

    Status = JobStatus

    name = models.CharField(max_length=80, unique=True)
    kind = models.CharField(max_length=40)
    customer = models.ForeignKey(Customer, null=True, on_delete=models.CASCADE)
    status = models.CharField(max_length=16, choices=Status, default=Status.WAITING)
    holder = models.UUIDField(null=True)
    leased_until = models.DateTimeField(null=True)
    settings = models.JSONField(default=dict)
    progress = models.CharField(max_length=300, blank=True)
    changed_at = models.DateTimeField()

    objects = JobQuerySet.as_manager()

    class Meta:
        constraints = [one_of("status", JobStatus)]

    def __str__(self) -> str:
        return self.name


class WorkerBeat(models.Model):
    """When a process last proved that it gets work done."""

    name = models.CharField(max_length=80, unique=True)
    pid = models.PositiveIntegerField()
    at = models.DateTimeField()

    def __str__(self) -> str:
        return f"{self.name} at {self.at}"
