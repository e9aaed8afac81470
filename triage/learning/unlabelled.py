"""Texts that nobody has labelled, for word vectors: the customer's tickets and the articles that answer them."""

import hashlib
from dataclasses import dataclass

from django.db.models.functions import Length

from classifier.text import READ, Document, masked
from triage.learning.labelled import is_held_out
from triage.models import Article, Customer, Draw, Ticket

MOST_TICKETS = 50_000
MOST_CHARACTERS = 20_000_000

_MOST_ROWS = 4 * MOST_TICKETS


@dataclass(frozen=True, kw_only=True)
class Unlabelled:
    """Texts only, each once."""

    tickets: list[Document]
    articles: list[Document]

    @property
    def documents(self) -> list[Document]:
        """Articles first: there are few, and each says in good words what many tickets say."""
        return [*self.articles, *self.tickets]


def unlabelled_of(customer: Customer) -> Unlabelled:
    """The texts of the customer's newest tickets and of the articles offered to it; nobody else's.

    At most 50,000 tickets and 20 million characters, texts that differ in numbers or hosts only once. Left out: what
    was drawn, since it certifies; what is held out, labelled or not, since it measures; what is longer than is read.
    """
    found = (
        Ticket.objects.of(customer)
        .exclude(draw__purpose__in=[Draw.Purpose.HOLDOUT, Draw.Purpose.VERIFY, Draw.Purpose.REOPENED])
        .alias(length=Length("subject") + Length("body"))
        .filter(length__gt=0, length__lte=READ)
        .order_by("-received_at", "-pk")
        .values_list("subject", "body")[:_MOST_ROWS]
    )
    tickets: list[Document] = []
    said: set[bytes] = set()
    left = MOST_CHARACTERS
    for subject, body in found.iterator(chunk_size=500):
        document = Document(subject, body)
        left -= len(subject) + len(body)
        if left < 0 or len(tickets) == MOST_TICKETS:
            break
        key = hashlib.sha256(masked(document).encode()).digest()
        if key not in said and not is_held_out(document):
            said.add(key)
            tickets.append(document)
    return Unlabelled(tickets=tickets, articles=_articles(customer))


def _articles(customer: Customer) -> list[Document]:
    return [
        Document(article.title, "\n".join([*map(str, article.aliases), article.symptoms, article.body]))
        for article in Article.objects.offered_to(customer).order_by("pk")
    ]
