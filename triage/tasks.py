"""The table of contents of background work. Each task loads nothing, makes one domain call and rings what follows."""

import os

from celery import shared_task
from django.utils import timezone

from triage import bell, execution, intake, landing, learning, prediction, pulling, telling, versions, writeback
from triage.environment import environment
from triage.feeds import passes
from triage.models import Ticket, WorkerBeat

PEER_SECONDS = 150
"""For what talks with others: a peer that drips its answer must not hold a worker. Claims make the end harmless."""


@shared_task(soft_time_limit=20, time_limit=30)
def classify_waiting() -> None:
    """Classify one batch of waiting tickets, then ring for their runs and for the rest."""
    progress = prediction.classify_batch(at=timezone.now(), limit=environment().classify_batch)
    for run in progress.runs:
        bell.ring_now("execute_run", run)
    if progress.more:
        bell.ring_now("classify_waiting")
    telling.watch_reconciler(at=timezone.now())
    _tell_soon()


@shared_task(acks_late=False, max_retries=0)
def execute_run(run_id: int) -> None:
    """Execute one run. Acknowledged early and never retried: the row's claim decides, not the message."""
    if not execution.execute(run_id, at=timezone.now()):
        return
    for ticket in Ticket.objects.filter(runs=run_id, waiting_update__isnull=False):
        intake.apply_waiting_update(ticket, at=timezone.now())
        bell.ring_now("classify_waiting")
    bell.ring_now("write_back")
    _tell_soon()


@shared_task
def land_waiting() -> None:
    """Pack waiting deliveries and labels into the lake."""
    landing.land(at=timezone.now())


@shared_task(soft_time_limit=PEER_SECONDS, time_limit=PEER_SECONDS + 30)
def write_back() -> None:
    """Tell the ITSMs what is due."""
    if writeback.deliver(at=timezone.now()).more:
        bell.ring_now("write_back")


@shared_task(soft_time_limit=PEER_SECONDS, time_limit=PEER_SECONDS + 30)
def look_elsewhere() -> None:
    """Ask job systems what they would run now."""
    versions.refresh(at=timezone.now())


@shared_task(soft_time_limit=PEER_SECONDS, time_limit=PEER_SECONDS + 30)
def pull_sources(source_id: int) -> None:
    """Pull what changed in one ITSM; a pass that needs longer goes on with the next message."""
    pulled = pulling.pull(source_id, at=timezone.now())
    if pulled is None:
        return
    if pulled.waiting:
        bell.ring_now("classify_waiting")
    if not (pulled.complete or pulled.failure or pulled.wait):
        bell.ring_now("pull_sources", source_id)
    _tell_soon()


@shared_task(soft_time_limit=PEER_SECONDS, time_limit=PEER_SECONDS + 30)
def sync_articles(feed_id: int) -> None:
    """Go over one article feed; a pass that needs longer goes on with the next message."""
    synced = passes.sync(feed_id, at=timezone.now())
    if synced is not None and not (synced.complete or synced.failure):
        bell.ring_now("sync_articles", feed_id)
    _tell_soon()


@shared_task(soft_time_limit=PEER_SECONDS, time_limit=PEER_SECONDS + 30)
def tell_people() -> None:
    """Send the mails and events that are due."""
    if telling.deliver(at=timezone.now()).more:
        bell.ring_now("tell_people")


def _tell_soon() -> None:
    """What was just committed may have to be told."""
    if telling.due(at=timezone.now()):
        bell.ring_now("tell_people")


@shared_task(acks_late=False)
def learn(job_id: int) -> None:
    """Train what a job row asks for."""
    learning.run_job(job_id, at=timezone.now())


@shared_task
def beat(pool: str) -> None:
    """Prove that this pool takes messages and reaches the database."""
    WorkerBeat.objects.update_or_create(name=pool, defaults={"pid": os.getpid(), "at": timezone.now()})
