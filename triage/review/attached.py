"""What an agent attached to a ticket in the ITSM is a verdict too: its article teaches, with its provenance.

Never where an answer has to be blind, where a run of ours ended the ticket, or where a person has answered here.
"""

from collections.abc import Sequence
from datetime import datetime

from django.db.models import Q

from triage import lifecycle
from triage.models import Article, Draw, FeedArticle, Label, Prediction, Review, Run, Ticket
from triage.queries.blind import DRAWN
from triage.queries.queue import language_of
from triage.telling import tell_verdict

ITSM = "itsm"
ACTOR = "system:itsm"
OURS: Sequence[str] = (Run.Status.STARTING, Run.Status.SUCCEEDED, Run.Status.UNKNOWN)


def take_over(ticket: Ticket, *, key: str, at: datetime) -> Review | None:
    """The Review and Label of the article that a resolved ticket carries in the ITSM; in the caller's transaction.

    None where nothing may or need be recorded. Another article than before withdraws what was recorded then.
    """
    customer, article = ticket.customer, _known(ticket, key)
    if customer is None or article is None or _not_wanted(ticket):
        return None
    before = Review.objects.filter(ticket=ticket, undone_at__isnull=True, provenance=ITSM)
    label = article.translation_group
    if before.filter(article=label, text_hash=ticket.text_hash).exists():
        return None
    _withdraw([review.pk for review in before], at=at)
    review = Review.objects.create(
        customer=customer,
        ticket=ticket,
        person=None,
        verdict=Review.Verdict.ARTICLE,
        article=label,
        provenance=ITSM,
        text_hash=ticket.text_hash,
        decided_at=at,
    )
    found = Prediction.objects.filter(ticket_id=ticket.pk, text_hash=ticket.text_hash).order_by("-pk").first()
    Label.objects.create(
        customer=customer,
        ticket=ticket,
        review=review,
        subject=ticket.subject,
        body=ticket.body,
        language=language_of(ticket, found)[:16],
        article=label,
        provenance=ITSM,
        made_at=at,
    )
    lifecycle.record(row=ticket, event="verdict", at=at, actor=ACTOR, after=review.verdict, reason=str(article))
    tell_verdict(review, at=at)
    return review


def _known(ticket: Ticket, key: str) -> Article | None:
    """The article of that key that the customer is offered, its own before the provider's; else what a feed calls so.

    A feed knows an article by the id or address that it has in its knowledge base. The ticket's own ITSM comes first;
    an id that means several articles means none.
    """
    name = key.strip()
    if ticket.customer_id is None or not name:
        return None
    offered = Article.objects.offered_to(ticket.customer)
    rows = offered.filter(key__iexact=name)
    found: Article | None = rows.filter(customer__isnull=False).first() or rows.first()
    if found is not None:
        return found
    listed = FeedArticle.objects.filter(Q(external_id=name) | Q(key__iexact=name) | Q(url=name), article__in=offered)
    for feeds in (listed.filter(feed__source=ticket.source_id), listed):
        articles = [row.article for row in feeds.select_related("article")[:20] if row.article]
        if articles:
            return articles[0] if len({one.translation_group for one in articles}) == 1 else None
    return None


def _not_wanted(ticket: Ticket) -> bool:
    """A draw is answered blind or not at all: a verdict from elsewhere would break its seal."""
    if Draw.objects.filter(ticket=ticket, purpose__in=DRAWN).exists():
        return True
    if Run.objects.filter(Q(ticket=ticket) | Q(linked_tickets=ticket), status__in=OURS).exists():
        return True
    said = Review.objects.filter(ticket=ticket, text_hash=ticket.text_hash, undone_at__isnull=True)
    return said.exclude(provenance=ITSM).exists()


def _withdraw(reviews: list[int], *, at: datetime) -> None:
    Review.objects.filter(pk__in=reviews).update(undone_at=at)
    Label.objects.filter(review__in=reviews).update(withdrawn_at=at, landed_at=None)
