"""Which tickets of the last days one release would answer otherwise than another.

Sealed tickets are left out: what a model says of a drawn ticket is for nobody before its verdict.
"""

from collections import Counter
from datetime import datetime, timedelta

from classifier.text import Document
from triage import serving
from triage.models import Comparison, Draw, Release, Ticket

LOOKED_BACK = timedelta(days=14)
MOST_TICKETS = 2000
MOST_PAIRS = 200
EXAMPLES = 5
NONE = ""


def compare(*, new: Release, old: Release, at: datetime) -> Comparison:
    """Both releases' first articles for the newest tickets of the last 14 days, at most 2,000; kept, once a pair.

    A release that cannot be opened raises NoModel or a LakeError. An article below the evidence that a suggestion
    needs counts as none.
    """
    tickets = list(
        Ticket.objects.of(new.customer)
        .filter(received_at__gt=at - LOOKED_BACK, draw__purpose=Draw.Purpose.NONE)
        .order_by("-received_at")
        .only("uuid", "subject", "body")[:MOST_TICKETS]
    )
    documents = [Document(ticket.subject, ticket.body) for ticket in tickets]
    before, after = _firsts(old, documents), _firsts(new, documents)
    pairs: Counter[tuple[str, str]] = Counter()
    examples: dict[tuple[str, str], list[str]] = {}
    for ticket, pair in zip(tickets, zip(before, after, strict=True), strict=True):
        if pair[0] != pair[1]:
            pairs[pair] += 1
            examples.setdefault(pair, []).append(str(ticket.uuid))
    found = [
        {"old": pair[0], "new": pair[1], "count": count, "tickets": examples[pair][:EXAMPLES]}
        for pair, count in pairs.most_common(MOST_PAIRS)
    ]
    values = {
        "customer": new.customer,
        "made_at": at,
        "since": at - LOOKED_BACK,
        "tickets": len(tickets),
        "differing": pairs.total(),
        "found": found,
    }
    return Comparison.objects.update_or_create(new=new, old=old, defaults=values)[0]


def _firsts(release: Release, documents: list[Document]) -> list[str]:
    if not documents:
        return []
    model = serving.load(release).classifier
    return [
        ranking.matches[0].label if ranking.matches and ranking.evidence.sufficient else NONE
        for ranking in model.rank(documents, k=1)
    ]
