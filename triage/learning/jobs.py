"""Long work that somebody asked for by a Job row: one holder at a time, under a lease that a killed worker loses."""

import uuid
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import TypeAlias

from django.db import transaction
from django.db.models import Q
from django.utils import timezone

from triage import lifecycle
from triage.lake.errors import LakeError
from triage.learning import gaps
from triage.learning.differing import compare
from triage.learning.labelled import TrainingRefused
from triage.learning.publish import PublishRefused, publish
from triage.learning.train import train
from triage.models import Customer, Job, Person, Release
from triage.models.job import LEARNING
from triage.serving import NoModel

LEASE = timedelta(hours=2)
"""Longer than the longest training; a job whose holder was lost is taken up afterwards."""

TRAIN, COMPARE, GAPS = LEARNING
Progress: TypeAlias = Callable[[str], object]


class JobRefused(Exception):
    """The work is not begun; the message says why."""


def ask_training(*, customer: Customer, person: Person, at: datetime, publish: bool = False) -> Job:
    """Ask for a training on the customer's labels; JobRefused while one is waiting or under way.

    `publish`: the candidate comes into force at once, where it is not refused.
    """
    settings = {"publish": 1} if publish else {}
    return _ask(customer, kind=TRAIN, key="", person=person, settings=settings, at=at)


def ask_comparison(*, new: Release, old: Release, person: Person, at: datetime) -> Job:
    """Ask which tickets `new` would answer otherwise than `old`; JobRefused where it is under way."""
    if new.pk == old.pk or new.customer_id != old.customer_id:
        raise JobRefused("Choose two different releases of one customer.")
    settings = {"new": new.pk, "old": old.pk}
    return _ask(new.customer, kind=COMPARE, key=f"-{new.pk}-{old.pk}", person=person, settings=settings, at=at)


def ask_grouping(*, customer: Customer, person: Person, at: datetime) -> Job:
    """Ask that the customer's unanswered tickets are grouped anew; JobRefused while that is under way."""
    return _ask(customer, kind=GAPS, key="", person=person, settings={}, at=at)


def _ask(customer: Customer, *, kind: str, key: str, person: Person, settings: dict[str, int], at: datetime) -> Job:
    """One row for each kind and customer (or pair), so that whoever asks twice gets one piece of work."""
    name = f"{kind}-{customer.pk}{key}"
    told = {**settings, "actor": f"person:{person.pk}"}
    with transaction.atomic():
        job = Job.objects.put_in_line(name, at=at, kind=kind, customer=customer, settings=told)
        if job is None:
            raise JobRefused("It has been asked for already: its progress is shown here.")
        lifecycle.record(row=job, event=f"{kind} asked for", at=at, actor=f"person:{person.pk}", reason=name)
    return job


def run_job(job_id: int, *, at: datetime) -> bool:
    """Do what a job row asks for; False where another holds it or it is done.

    Kind `train`: train the customer's labels and, with the setting `publish`, bring the candidate into force. Kind
    `compare`: which tickets of the last days the release `new` answers otherwise than `old`. Kind `gaps`: group the
    tickets that no article answered.
    """
    holder = uuid.uuid4()
    free = Q(status=Job.Status.WAITING) | Q(status=Job.Status.LEASED, leased_until__lt=at)
    mine = Job.objects.filter(pk=job_id, holder=holder)
    if not Job.objects.filter(free, pk=job_id, kind__in=LEARNING, customer__isnull=False).update(
        status=Job.Status.LEASED, holder=holder, leased_until=at + LEASE, changed_at=at
    ):
        return False
    job = mine.select_related("customer").get()

    def progress(words: str) -> None:
        mine.update(progress=words[:300], changed_at=timezone.now())

    try:
        done = KINDS[job.kind](job, progress, at)
    except (TrainingRefused, PublishRefused, JobRefused, NoModel, LakeError) as refused:
        mine.update(status=Job.Status.FAILED, progress=str(refused)[:300], changed_at=timezone.now())
    else:
        mine.update(status=Job.Status.DONE, progress=done[:300], changed_at=timezone.now())
    return True


def _train(job: Job, progress: Progress, at: datetime) -> str:
    assert job.customer is not None  # noqa: S101 - the filter in run_job
    release = train(customer=job.customer, at=at, progress=progress)
    done = f"{release.version}: accuracy {release.accuracy or 0:.3f} on rows that it had not seen"
    if job.settings.get("publish"):
        publish(release=release, actor=str(job.settings.get("actor", "system:learning")), at=timezone.now())
        done += ", in force"
    return done


def _compare(job: Job, progress: Progress, at: datetime) -> str:
    found = (
        Release.objects.filter(customer=job.customer)
        .select_related("customer")
        .in_bulk([job.settings["new"], job.settings["old"]])
    )
    if len(found) < 2:
        raise JobRefused("One of the releases is gone.")
    progress("both models answer the tickets of the last days")
    made = compare(new=found[job.settings["new"]], old=found[job.settings["old"]], at=at)
    return f"{made.differing} of {made.tickets} tickets would be answered otherwise"


def _group(job: Job, progress: Progress, at: datetime) -> str:
    assert job.customer is not None  # noqa: S101 - the filter in run_job
    made = gaps.regroup(customer=job.customer, at=at, progress=progress)
    return f"{made.grouped} of {made.tickets} tickets that no article answered are in {made.gaps} groups"


KINDS: dict[str, Callable[[Job, Progress, datetime], str]] = {TRAIN: _train, COMPARE: _compare, GAPS: _group}
