"""The log as people read it: of one ticket with its runs and approvals, and of whole customers for those allowed."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime

from django.db.models import Q, QuerySet

from triage.models import Approval, AuditEvent, Person, Run, Ticket
from triage.permissions import log_customers
from triage.queries import blind
from triage.queries.numbers import whole

HIDDEN = "hidden until the blind check is answered"
OPEN_EVENTS = ("received", blind.REVEALED)
PARTS = {
    "intake": "Intake",
    "prediction": "Classifier",
    "approvals": "Approvals",
    "automation": "Automation",
    "recovery": "Recovery",
    "learning": "Learning",
    "links": "One-time links",
    "openid": "OpenID Connect",
    "sign-in": "Sign-in",
}


@dataclass(frozen=True)
class Entry:
    """One line of the log with its actor's name."""

    event: AuditEvent
    actor: str
    reason: str
    after: str
    hidden: bool = False

    @property
    def title(self) -> str:
        """What happened, in words."""
        if self.hidden:
            return f"{self.event.subject} changed"
        if self.event.event != "status":
            return f"{self.event.subject}: {self.event.event}" if self.event.subject != "ticket" else self.event.event
        return f"{self.event.subject} {self.after.replace('_', ' ')}"


@dataclass(frozen=True)
class LogFilters:
    """What the reader narrowed the log to."""

    text: str = ""
    subject: str = ""
    customer: str = ""
    person: str = ""
    event: str = ""
    row: str = ""
    since: datetime | None = None
    until: datetime | None = None

    @property
    def active(self) -> dict[str, str]:
        """The narrowing ones, for links."""
        return {name: str(value) for name, value in vars(self).items() if value}


def of_ticket(ticket: Ticket, *, sealed: bool, limit: int = 200) -> list[Entry]:
    """The newest events of the ticket, its runs and approvals, newest first."""
    runs = Run.objects.filter(ticket=ticket).values("pk")
    asked = Approval.objects.filter(ticket=ticket).values("pk")
    mine = Q(subject="ticket", subject_id=ticket.pk)
    theirs = Q(subject="run", subject_id__in=runs) | Q(subject="approval", subject_id__in=asked)
    events = list(AuditEvent.objects.filter(mine if sealed else mine | theirs).order_by("-id")[:limit])
    return entries(events, hidden={("ticket", ticket.pk)} if sealed else set())


def page(
    person: Person, *, filters: LogFilters, at: datetime, before: int | None = None, limit: int = 100
) -> tuple[list[Entry], int | None]:
    """One page of the log, newest first, and where the next one starts."""
    rows = _narrowed(person, filters=filters, at=at)
    if before is not None:
        rows = rows.filter(id__lt=before)
    events = list(rows.order_by("-id")[: limit + 1])
    onward = events[limit - 1].pk if len(events) > limit else None
    return entries(events[:limit], hidden=_sealed(events, at=at)), onward


def count(person: Person, *, filters: LogFilters, at: datetime, most: int) -> int:
    """How many events the filters leave, counted up to `most` + 1."""
    return _narrowed(person, filters=filters, at=at).order_by("-id")[: most + 1].count()


def export(person: Person, *, filters: LogFilters, at: datetime, chunk: int = 1000) -> Iterator[Entry]:
    """Every event that the filters leave, newest first, read in chunks so that none holds the database for long."""
    before: int | None = None
    while True:
        found, before = page(person, filters=filters, at=at, before=before, limit=chunk)
        yield from found
        if before is None:
            return


def of_person(person: Person, *, limit: int = 30) -> list[Entry]:
    """What happened to somebody's account, newest first."""
    events = AuditEvent.objects.filter(subject="person", subject_id=person.pk).order_by("-id")[:limit]
    return entries(events, hidden=set())


def _narrowed(person: Person, *, filters: LogFilters, at: datetime) -> QuerySet[AuditEvent]:
    rows = _visible(person)
    if filters.subject:
        rows = rows.filter(subject=filters.subject)
    customer = whole(filters.customer)
    if customer is not None:
        rows = rows.filter(customer_id=customer)
    if filters.person:
        actors = [f"person:{pk}" for pk in _people(filters.person)]
        rows = rows.filter(Q(actor__in=actors) | Q(actor=f"system:{filters.person.casefold()}"))
    if filters.event:
        rows = rows.filter(Q(event__icontains=filters.event) | Q(event="status", after__icontains=filters.event))
    if filters.row:
        rows = rows.filter(_of_row(filters.row))
    if filters.since:
        rows = rows.filter(at__gte=filters.since)
    if filters.until:
        rows = rows.filter(at__lt=filters.until)
    for word in filters.text.split()[:6]:
        rows = rows.filter(_mentions(word))
    return _without_sealed(rows, at=at) if filters.text or filters.event else rows


def _of_row(name: str) -> Q:
    """A ticket by the ITSM's number, or any row by ours."""
    found = Q(subject="ticket", subject_id__in=Ticket.objects.filter(external_id=name).values("pk"))
    number = whole(name)
    return found if number is None else found | Q(subject_id=number)


def _without_sealed(rows: QuerySet[AuditEvent], *, at: datetime) -> QuerySet[AuditEvent]:
    """A search that finds a blanked line by its words would tell what they are."""
    drawn = blind.sealed_among(Ticket.objects.all(), at=at).values("pk")
    theirs = Q(subject="ticket", subject_id__in=drawn)
    theirs |= Q(subject="run", subject_id__in=Run.objects.filter(ticket__in=drawn).values("pk"))
    theirs |= Q(subject="approval", subject_id__in=Approval.objects.filter(ticket__in=drawn).values("pk"))
    return rows.exclude(theirs & ~Q(event__in=OPEN_EVENTS))


def latest(*, subject: str, event: str, rows: Iterable[int]) -> dict[int, Entry]:
    """The newest event of one kind of each of these rows: who did it last, when and why."""
    found = AuditEvent.objects.filter(subject=subject, event=event, subject_id__in=list(rows)).order_by("id")
    return {entry.event.subject_id: entry for entry in entries(found, hidden=set())}


def entries(events: Iterable[AuditEvent], *, hidden: set[tuple[str, int]]) -> list[Entry]:
    """Events with their actors' names, in one query."""
    rows = list(events)
    people = {int(row.actor[7:]) for row in rows if row.actor.startswith("person:") and row.actor[7:].isdigit()}
    names = {person.pk: name_of(person) for person in Person.objects.filter(pk__in=people)} if people else {}
    return [_entry(row, names=names, hide=(row.subject, row.subject_id) in hidden) for row in rows]


def name_of(person: Person | None) -> str:
    """What to call a person."""
    if person is None:
        return "nobody"
    return person.get_full_name() or person.get_username()


def _entry(event: AuditEvent, *, names: dict[int, str], hide: bool) -> Entry:
    kind, _, rest = event.actor.partition(":")
    if kind == "person" and rest.isdigit():
        actor = names.get(int(rest), "a former person")
    else:
        actor = PARTS.get(rest, rest or kind)
    if hide and event.event not in OPEN_EVENTS:
        return Entry(event, actor, HIDDEN, "", hidden=True)
    return Entry(event, actor, event.reason, event.after)


def _visible(person: Person) -> QuerySet[AuditEvent]:
    rows = AuditEvent.objects.all()
    return rows if person.is_superuser else rows.filter(customer_id__in=log_customers(person))


def _mentions(word: str) -> Q:
    found = Q(event__icontains=word) | Q(reason__icontains=word) | Q(actor__icontains=word) | Q(after__icontains=word)
    found |= Q(actor__in=[f"person:{pk}" for pk in _people(word)])
    found |= Q(subject="ticket", subject_id__in=Ticket.objects.filter(external_id=word).values("pk"))
    number = whole(word)
    return found if number is None else found | Q(subject_id=number)


def _people(word: str) -> list[int]:
    named = Person.objects.filter(
        Q(username__icontains=word) | Q(last_name__icontains=word) | Q(first_name__icontains=word)
    )
    return list(named.values_list("pk", flat=True)[:50])


def _sealed(events: list[AuditEvent], *, at: datetime) -> set[tuple[str, int]]:
    """The rows among these events that would tell what we think of a ticket under a blind check."""
    tickets = {event.subject_id for event in events if event.subject == "ticket"}
    runs = {event.subject_id for event in events if event.subject == "run"}
    asked = {event.subject_id for event in events if event.subject == "approval"}
    drawn = blind.sealed_among(Ticket.objects.all(), at=at)
    found = {("ticket", pk) for pk in drawn.filter(pk__in=tickets).values_list("pk", flat=True)}
    found |= {("run", pk) for pk in Run.objects.filter(pk__in=runs, ticket__in=drawn).values_list("pk", flat=True)}
    of_approvals = Approval.objects.filter(pk__in=asked, ticket__in=drawn)
    return found | {("approval", pk) for pk in of_approvals.values_list("pk", flat=True)}
