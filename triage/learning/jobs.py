"""Long work that somebody asked for by a Job row: one holder at a time, under a lease that a killed worker loses."""

import uuid
from datetime import datetime, timedelta

from django.db.models import Q
from django.utils import timezone

from triage.lake.errors import LakeError
from triage.learning.labelled import TrainingRefused
from triage.learning.publish import PublishRefused, publish
from triage.learning.train import train
from triage.models import Job

LEASE = timedelta(hours=2)
"""Longer than the longest training; a job whose holder was lost is taken up afterwards."""


def run_job(job_id: int, *, at: datetime) -> bool:
    """Do what a job row asks for; False where another holds it or it is done.

    Kind `train`: train the customer's labels and, with the setting `publish`, bring the candidate into force.
    """
    holder = uuid.uuid4()
    free = Q(status=Job.Status.WAITING) | Q(status=Job.Status.LEASED, leased_until__lt=at)
    mine = Job.objects.filter(pk=job_id, holder=holder)
    if not Job.objects.filter(free, pk=job_id, kind="train", customer__isnull=False).update(
        status=Job.Status.LEASED, holder=holder, leased_until=at + LEASE, changed_at=at
    ):
        return False
    job = mine.select_related("customer").get()
    assert job.customer is not None  # noqa: S101 - the filter above
    try:
        release = train(
            customer=job.customer,
            at=at,
            progress=lambda words: mine.update(progress=words[:300], changed_at=timezone.now()),
        )
        done = f"{release.version}: accuracy {release.accuracy or 0:.3f} on rows that it had not seen"
        if job.settings.get("publish"):
            publish(release=release, actor=str(job.settings.get("actor", "system:learning")), at=timezone.now())
            done += ", in force"
    except (TrainingRefused, PublishRefused, LakeError) as refused:
        mine.update(status=Job.Status.FAILED, progress=str(refused)[:300], changed_at=timezone.now())
    else:
        mine.update(status=Job.Status.DONE, progress=done, changed_at=timezone.now())
    return True
