"""How far a customer has come on its way to the first decided ticket, read from the tables each time."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime

from django.db.models.functions import Substr

from triage.models import (
    Article,
    ArticleFeed,
    Customer,
    Decision,
    Draw,
    Job,
    Label,
    Membership,
    Person,
    Release,
    Review,
    Role,
    Source,
    SourceMapping,
    Ticket,
)
from triage.permissions import administered
from triage.queries import blind
from triage.queries.customers import customers_of
from triage.queries.queue import digest

T = Ticket.Status
ENDED = (T.ANSWERED, T.RESOLVED)
UNNAMED = ("default", "Default")
"""Slug and name of the customer that every installation begins with."""

COUNTED = 200
"""How many labels are looked at to say whether there are enough."""

BEGINNING = 2_000
"""Characters by which texts are told apart there."""


@dataclass(frozen=True, kw_only=True)
class Taught:
    """What there is to learn from: labelled texts and the articles that they name; `more` than were looked at."""

    texts: int = 0
    articles: int = 0
    more: bool = False


@dataclass(frozen=True, kw_only=True)
class Way:
    """Each step's state. `first`: the customer's first ticket; `decided`: a person, or a runbook, has settled one."""

    customer: Customer
    named: bool
    sources: list[Source]
    live: bool
    articles: int
    feeds: list[ArticleFeed]
    taught: Taught
    imported: int
    release: Release | None
    candidate: Release | None
    job: Job | None
    first: Ticket | None
    sealed: bool
    decision: Decision | None
    decided: bool

    @property
    def learning(self) -> bool:
        """Whether a training is asked for or under way."""
        return self.job is not None and self.job.status in (Job.Status.WAITING, Job.Status.LEASED)

    @property
    def steps(self) -> tuple[bool, ...]:
        """Which of the five steps are done."""
        return self.named, self.live, self.articles > 0, self.release is not None, self.decided

    @property
    def done(self) -> int:
        """How many of them."""
        return sum(self.steps)

    @property
    def mark(self) -> str:
        """Changes with whatever of the last two steps may change while somebody looks."""
        job, first = self.job, self.first
        seen = (job.status, job.progress) if job else ()
        ticket = (first.pk, first.status, first.text_hash, self.sealed) if first else ()
        release = self.release.pk if self.release else 0
        decision = self.decision.pk if self.decision else 0
        told = (seen, ticket, release, decision, self.taught, self.articles, self.live, self.decided)
        return digest(told)


def way(customer: Customer, *, at: datetime) -> Way:
    """How far the customer has come."""
    sources = list(_sources(customer))
    tickets = Ticket.objects.of(customer)
    first = tickets.order_by("pk").first()
    releases = Release.objects.of(customer).defer("measures")
    release = releases.filter(status=Release.Status.IN_FORCE).first()
    return Way(
        customer=customer,
        named=(customer.slug, customer.name) != UNNAMED,
        sources=sources,
        live=any(source.enabled and not source.in_setup for source in sources),
        articles=Article.objects.offered_to(customer).count(),
        feeds=list(ArticleFeed.objects.of(customer).order_by("name")[:5]),
        taught=Taught() if release else _taught(customer),
        imported=Label.objects.of(customer).filter(provenance="history", withdrawn_at__isnull=True).count(),
        release=release,
        candidate=releases.filter(status=Release.Status.CANDIDATE).order_by("-created_at").first(),
        job=Job.objects.filter(customer=customer, kind="train").order_by("-changed_at").first(),
        first=first,
        sealed=bool(first and blind.sealed([first], at=at)),
        decision=_decision(first),
        decided=Review.objects.of(customer).exists() or tickets.filter(status__in=ENDED).exists(),
    )


def _sources(customer: Customer) -> Iterable[Source]:
    """Its own, and those that serve many and name it in a mapping; without what is secret."""
    shared = SourceMapping.objects.filter(customer=customer).values("source")
    rows = Source.objects.filter(customer=customer) | Source.objects.filter(pk__in=shared)
    return rows.defer("secrets", "credentials", "settings").order_by("pk")[:20]


def _taught(customer: Customer) -> Taught:
    rows = Label.objects.of(customer).filter(withdrawn_at__isnull=True).exclude(article="")
    rows = rows.exclude(draw_purpose=Draw.Purpose.HOLDOUT)
    offered = Article.objects.offered_to(customer).values("translation_group")
    usable = rows.filter(article__in=offered)
    texts = list(usable.order_by("pk").values_list("subject", Substr("body", 1, BEGINNING))[:COUNTED])
    articles = usable.order_by().values("article").distinct().count()
    return Taught(texts=len(set(texts)), articles=articles, more=len(texts) == COUNTED)


def _decision(first: Ticket | None) -> Decision | None:
    if first is None:
        return None
    rows = Decision.objects.filter(ticket=first, text_hash=first.text_hash, in_force=True)
    return rows.order_by("-pk").first()


def begins(person: Person) -> bool:
    """Whether the person administers customers and nothing was decided at any of them yet."""
    if person.is_superuser:
        return not (Review.objects.exists() or Decision.objects.exists())
    mine = administered(person)
    if not mine:
        return False
    rows = (Review.objects.filter(customer__in=mine), Decision.objects.filter(customer__in=mine))
    return not any(found.exists() for found in rows)


def choice(person: Person, slug: str) -> Customer | None:
    """The customer that is meant; without a name the first that nothing was decided at, or the first of all."""
    mine = customers_of(person)
    if slug:
        return mine.filter(slug=slug).first()
    undecided = mine.exclude(pk__in=Review.objects.values("customer"))
    if not person.is_superuser and (keys := administered(person)):
        undecided = undecided.filter(pk__in=keys)
    return undecided.first() or mine.first()


def administrators(customer: Customer) -> list[Person]:
    """Whom to ask: the customer's administrators, or else the provider's."""
    rows = Person.objects.filter(is_active=True)
    own = Membership.objects.filter(customer=customer, role=Role.ADMIN).values("person")
    return list(rows.filter(pk__in=own).order_by("pk")[:3] or rows.filter(is_superuser=True).order_by("pk")[:3])
