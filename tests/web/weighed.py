"""Tickets that a real model has read, at a customer of the believable desk."""

from datetime import datetime, timedelta

from classifier.text import Document
from tests import factories, past, trained
from triage.models import Customer, Person, Release, Source, Ticket

TITLES = {
    "unlock-account": ("KB1001", "Account locked after failed sign-ins"),
    "printer": ("KB1002", "Printer on the floor does not print"),
    "vpn": ("KB1003", "VPN does not connect from home"),
    "mailbox": ("KB1004", "Mailbox is full"),
}


def release(customer: Customer) -> Release:
    """The small model in force, and an article for each of its labels."""
    for label, (key, title) in TITLES.items():
        runbook = "unlock_account" if label == "unlock-account" else ""
        factories.article(key=key, title=title, translation_group=label, runbook=runbook)
    return trained.release(customer)


def ticket(source: Source, made: Release, subject: str, body: str, **values: object) -> Ticket:
    """A ticket that waits for a person, with the model's own prediction."""
    row = factories.ticket(source=source, subject=subject, body=body, **{"status": "needs_review", **values})
    ranking = trained.model().rank([Document(subject, body)])[0].as_dict()
    factories.prediction(
        row,
        release=made.version,
        matches=ranking["matches"],
        probability=ranking["matches"][0]["probability"],
        score=ranking["score"],
        evidence=ranking["evidence"],
    )
    factories.decision(row, article=ranking["matches"][0]["label"])
    return row


def solved(source: Source, person: Person, *, at: datetime, count: int = 12, seed: int = 4) -> list[Ticket]:
    """Resolved tickets with a person's verdict, the newest last."""
    rows = []
    for number, (document, label) in enumerate(past.tickets(count, seed=seed)):
        moment = at - timedelta(days=count - number)
        row = factories.ticket(
            source=source,
            subject=document.subject,
            body=document.body,
            status="resolved",
            received_at=moment,
            changed_at=moment,
        )
        factories.review(row, person, article=label, decided_at=moment)
        rows.append(row)
    return rows
