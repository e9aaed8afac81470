"""Notices that this database is older than the lake says it should be, and puts the two in agreement again.

A number rises in the database and, after that, in the lake. A lake that is ahead has seen a life of this database that
the database itself does not know of: it was restored, or a standby took over that lacked the last seconds. Nothing
starts then until a person has run `triage recover --after-failover`.
"""

from dataclasses import asdict, dataclass, field
from datetime import datetime, timedelta

from django.db import IntegrityError, transaction
from django.db.models import F

from triage import automation, lifecycle, standing
from triage.lake import claims, layout
from triage.lake.claims import Claim
from triage.lake.errors import Damaged, NotThere
from triage.lake.store import ObjectStore
from triage.models import Customer, Run, Standing, Target, Ticket

ACTOR = "system:recovery"
RESTORED = (
    "The lake has seen runs that this database does not know of: it was restored or failed over. "
    "Run: triage recover --after-failover"
)
LOST = "It was started in a life of the database that was lost. Look at the target, then say whether it happened."
MARGIN = timedelta(hours=1)
"""Claims so much older than the database's last tick are looked at too: clocks differ, and so do backups."""


@dataclass
class Recovered:
    """What was found. settled: runs that now wait for a person. unmatched: claims whose ticket or target is not here.

    damaged: what is wrong with claims that cannot be read. automation_enabled: whether anything may start now.
    """

    claims: int = 0
    known: int = 0
    settled: list[str] = field(default_factory=list)
    unmatched: list[Claim] = field(default_factory=list)
    damaged: list[str] = field(default_factory=list)
    automation_enabled: bool = False

    def as_dict(self) -> dict[str, object]:
        """The same as one JSON object."""
        return asdict(self)


def tick(store: ObjectStore, *, at: datetime) -> bool:
    """Raise the number here, then in the lake, unless the lake is ahead; whether it is. Raises LakeError."""
    if noticed(store, at=at):
        return True
    standing.now()
    Standing.objects.update(tick=F("tick") + 1, ticked_at=at)
    store.put(layout.TICK, str(Standing.objects.get().tick).encode())
    return False


def noticed(store: ObjectStore, *, at: datetime) -> bool:
    """Whether the lake is ahead of this database; everything is switched off then. Raises LakeError."""
    ahead = _of_lake(store)  # first the lake's: the database may rise meanwhile, and must not seem behind for it
    if ahead <= standing.now().tick:
        return False
    standing.switch(on=False, because=RESTORED, at=at, actor=ACTOR)
    return True


def recover(store: ObjectStore, *, at: datetime, actor: str, despite: bool = False) -> Recovered:
    """Hold every claim of the lake since the last tick against the rows, and let automation start again.

    What was started and is not known here becomes UNKNOWN: a person looks. What cannot be matched keeps everything
    off unless `despite` says that somebody has looked at it; so does a stop of another reason. Doing it twice changes
    nothing more.
    """
    found, row = Recovered(), standing.now()
    since = row.ticked_at - MARGIN if row.ticked_at else datetime.fromtimestamp(0, tz=at.tzinfo)
    for key in claims.keys_since(store, since):
        found.claims += 1
        try:
            _hold(store, key, found, at=at)
        except Damaged as error:
            found.damaged.append(str(error))
    clear = despite or not (found.unmatched or found.damaged)
    if clear:
        ahead = _of_lake(store)
        Standing.objects.filter(tick__lt=ahead).update(tick=ahead, ticked_at=at)
        if standing.now().off_because == RESTORED:
            standing.switch(on=True, because="recovered after a restore or failover", at=at, actor=actor)
    found.automation_enabled = standing.now().automation_enabled
    said = f"{found.claims} claims, {len(found.settled)} for a person, {len(found.unmatched)} without a ticket"
    lifecycle.record(row=standing.now(), event="recovered", at=at, actor=actor, reason=said)
    return found


def _hold(store: ObjectStore, key: str, found: Recovered, *, at: datetime) -> None:
    """One claim against the rows."""
    claim = claims.read(store, key)
    if not claims.started(store, claim):
        return
    run = Run.objects.filter(uuid=claim.run).select_related("ticket").first()
    if run is not None and not _stale(run, at=at):
        found.known += 1
    elif settled(claim, run, at=at):
        found.settled.append(claim.run)
    else:
        found.unmatched.append(claim)


def _stale(run: Run, *, at: datetime) -> bool:
    """Whether the row is behind the lake: not started here, or started and followed by nobody."""
    if run.status == Run.Status.STARTING:
        return run.claim_until is None or run.claim_until < at
    return run.status in (Run.Status.REQUESTED, Run.Status.CLAIMED)


def _of_lake(store: ObjectStore) -> int:
    try:
        return int(store.get(layout.TICK))
    except NotThere:
        return 0


def settled(claim: Claim, run: Run | None, *, at: datetime) -> bool:
    """Make the run UNKNOWN, with a row where it has none; False where its ticket or target is not here, or is taken."""
    ticket = Ticket.objects.filter(source__uuid=claim.source, external_id=claim.external_id).first()
    if ticket is None or ticket.customer is None:
        return False
    try:
        with transaction.atomic():
            run = run or _waiting(claim, ticket) or _row(claim, ticket, ticket.customer, at=at)
            automation.lock(run)
            for status in (Run.Status.CLAIMED, Run.Status.STARTING, Run.Status.UNKNOWN):
                ended = {"started_at": at, "finished_at": at} if status == Run.Status.UNKNOWN else {}
                rows = Run.objects.filter(pk=run.pk)
                lifecycle.advance(rows, to=status, at=at, actor=ACTOR, reason=LOST, changes=ended)
            _to_person(ticket, at=at)
            run.refresh_from_db()
            automation.settle(run, at=at, actor=ACTOR)
    except (IntegrityError, Target.DoesNotExist):
        return False
    return True


def _waiting(claim: Claim, ticket: Ticket) -> Run | None:
    """A run that was requested anew for the same occasion: it can never start, since the claim is another's."""
    same = Run.objects.filter(ticket=ticket, runbook=claim.runbook, occasion=claim.occasion)
    found: Run | None = same.filter(status__in=[Run.Status.REQUESTED, Run.Status.CLAIMED]).first()
    return found


def _row(claim: Claim, ticket: Ticket, customer: Customer, *, at: datetime) -> Run:
    """A row for a run that this database never had."""
    row: Run = Run.objects.create(
        uuid=claim.run,
        customer=customer,
        ticket=ticket,
        runbook=claim.runbook,
        occasion=claim.occasion,
        target=Target.objects.get(customer=customer, key=claim.target),
        target_object=claim.target_object,
        text_hash=ticket.text_hash,
        requested_at=at,
    )
    return row


def _to_person(ticket: Ticket, *, at: datetime) -> None:
    for to in (Ticket.Status.RUNNING, Ticket.Status.NEEDS_REVIEW):
        lifecycle.advance(Ticket.objects.filter(pk=ticket.pk), to=to, at=at, actor=ACTOR, reason=LOST)
