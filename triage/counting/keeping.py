"""When counts are made: each kind at its own pace, by one process at a time."""

from datetime import datetime, timedelta

from django.db import transaction

from triage.counting import articles, certificates, hours
from triage.models import HourCount, Job

HOURS, SLOW = "counting of hours", "counting of verdicts"
EVERY = {HOURS: timedelta(seconds=10), SLOW: timedelta(minutes=5)}


def keep(*, at: datetime) -> bool:
    """Bring counts up to date where they are due; whether anything was counted."""
    fast, slow = _due(HOURS, at=at), _due(SLOW, at=at)
    if fast:
        hours.changed(fast, at=at)
    if slow:
        articles.lately(at=at)
        articles.weeks(slow, at=at)
        certificates.runs_and_verdicts()
        hours.one_day(slow, at=at)
    return bool(fast or slow)


def all_anew(*, at: datetime) -> None:
    """Empty the counts and fill them again, all at once: for imports, tests and measurements."""
    with transaction.atomic():
        HourCount.objects.all().delete()
        Job.objects.filter(name__in=[HOURS, SLOW]).delete()
    keep(at=at)
    job = Job.objects.get(name=HOURS)
    while hours.changed(job, at=at):
        pass


def counted_at() -> datetime | None:
    """Until when changes are in the hours' counts; None where nothing was counted yet."""
    until = Job.objects.filter(name=HOURS).values_list("settings__until", flat=True).first()
    return datetime.fromisoformat(until) if until else None


def _due(name: str, *, at: datetime) -> Job | None:
    """The job of this name, where it is time and this process is the one that does it."""
    found, made = Job.objects.get_or_create(name=name, defaults={"kind": "counting", "changed_at": at})
    mine = Job.objects.filter(pk=found.pk, changed_at__lte=at - EVERY[name])
    return Job.objects.filter(pk=found.pk).first() if made or mine.update(changed_at=at) else None
