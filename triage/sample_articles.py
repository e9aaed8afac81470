"""The sample company's articles for a customer that has none of its own yet: to try with, and to rewrite."""

from datetime import datetime

from triage import knowledge
from triage.demo import articles as samples
from triage.history import labels_of
from triage.models import Customer, Person


def take(*, customer: Customer, person: Person, at: datetime) -> int:
    """Write those that the customer is not offered yet, translations included; how many. Raises PermissionDenied."""
    offered, done = labels_of(customer), 0
    for sample in samples.articles():
        if sample.key in offered:
            continue
        text = knowledge.Text(
            title=sample.title,
            symptoms=sample.symptoms,
            body=sample.body,
            aliases=sample.aliases,
            language=sample.language,
            label=sample.translation_group,
            runbook=sample.runbook,
        )
        try:
            knowledge.put(
                person=person, customer=customer, key=sample.key, text=text, expected=lambda row: row is None, at=at
            )
        except knowledge.ArticleChanged:
            continue  # a retired one of this key, or somebody else wrote it just now
        done += 1
    return done


def count() -> int:
    """How many there are, translations included."""
    return len(samples.articles())
