"""Rows for tests, each whole and valid by itself; a test names only what it is about."""

import itertools
import uuid
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import Any

from django.contrib.auth.hashers import make_password

from classifier.text import Document, masked, text_hash
from triage.models import (
    Approval,
    Article,
    Certificate,
    Customer,
    Decision,
    Draw,
    Label,
    Membership,
    Mode,
    Person,
    Prediction,
    Registration,
    Release,
    Review,
    Role,
    Run,
    Source,
    SourceMapping,
    Target,
    Ticket,
)

SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
NOW = datetime(2026, 11, 20, 9, 30, tzinfo=UTC)
_numbers = itertools.count(1)


def customer(**values: Any) -> Customer:
    """A customer that neither draws nor automates unless told."""
    number = next(_numbers)
    given = {"slug": f"customer-{number}", "name": f"Customer {number}", "holdout_share": 0.0, "verify_share": 0.0}
    return Customer.objects.create(**{**given, **values})


def source(**values: Any) -> Source:
    """A standard source with one secret; its tickets belong to a fresh customer unless `customer` is given."""
    number = next(_numbers)
    if "customer" not in values:
        values["customer"] = customer()
    given = {
        "slug": f"source-{number}",
        "name": f"Source {number}",
        "kind": "standard",
        "secrets": SECRET,
        "assurance": {"portal": "portal", "mail": "mail", "monitoring": "monitored"},
    }
    return Source.objects.create(**{**given, **values})


def mapping(*, source: Source, customer: Customer, part: str = "company", value: str = "ACME") -> SourceMapping:
    """One company of the ITSM that belongs to the customer."""
    return SourceMapping.objects.create(source=source, customer=customer, part=part, value=value)


def person(**values: Any) -> Person:
    """Someone who can sign in with the password `a long enough password`."""
    given = {"username": f"person-{next(_numbers)}", "password": _hashed()}
    return Person.objects.create(**{**given, **values})


@lru_cache(maxsize=1)
def _hashed() -> str:
    """Made once: hashing is slow on purpose."""
    return make_password("a long enough password")


def member(customer: Customer, role: str = Role.AGENT, **values: Any) -> Person:
    """A person with a role at the customer."""
    found = person(**values)
    Membership.objects.create(person=found, customer=customer, role=role)
    return found


def article(**values: Any) -> Article:
    """A live article of the provider's, its own label."""
    number = next(_numbers)
    key = values.get("key", f"KB{number:04}")
    given = {"key": key, "title": f"Article {key}", "translation_group": key, "symptoms": "", "body": "Do this."}
    return Article.objects.create(**{**given, **values})


def ticket(**values: Any) -> Ticket:
    """A received ticket written by a person in a portal; hashes follow from its text."""
    number = next(_numbers)
    given_source = values.pop("source", None) or source(
        **({"customer": values["customer"]} if "customer" in values else {})
    )
    given: dict[str, Any] = {
        "source": given_source,
        "customer": given_source.customer,
        "external_id": f"INC{number:07}",
        "subject": f"Account locked {number}",
        "body": "I cannot sign in, my account is locked.",
        "requester": "ada@example.org",
        "channel": "portal",
        "created_at": NOW,
        "updated_at": NOW,
        "received_at": NOW,
        "changed_at": NOW,
    }
    given |= values
    document = Document(given["subject"], given["body"])
    given.setdefault("text_hash", text_hash(document))
    given.setdefault("storm_key", storm_key(masked(document)))
    return Ticket.objects.create(**given)


def storm_key(text: str) -> str:
    """64 hex digits that differ for different texts; not the key that intake makes."""
    return uuid.uuid5(uuid.NAMESPACE_OID, text).hex * 2


def draw(ticket: Ticket, purpose: str = "none", probability: float = 1.0, **values: Any) -> Draw:
    """The draw of a ticket's cluster."""
    given = {"customer": ticket.customer, "cluster": ticket.storm_key, "drawn_at": ticket.received_at}
    return Draw.objects.create(ticket=ticket, purpose=purpose, probability=probability, **{**given, **values})


def prediction(ticket: Ticket, label: str = "KB0001", score: float = 0.9, **values: Any) -> Prediction:
    """What a model said of the ticket's text."""
    given: dict[str, Any] = {
        "customer": ticket.customer,
        "ticket_id": ticket.pk,
        "text_hash": ticket.text_hash,
        "release": "1",
        "matches": [{"label": label, "probability": score}],
        "probability": score,
        "score": score,
        "evidence": {"sufficient": True, "reason": "enough known words"},
        "reason": "known words point to this article",
        "made_at": ticket.received_at,
    }
    return Prediction.objects.create(**{**given, **values})


def decision(ticket: Ticket, mode: str = Mode.SUGGEST, **values: Any) -> Decision:
    """What is to happen with the ticket."""
    given: dict[str, Any] = {
        "customer": ticket.customer,
        "text_hash": ticket.text_hash,
        "article": "KB0001",
        "reason": "suggested to the agent",
        "made_at": ticket.received_at,
    }
    return Decision.objects.create(ticket=ticket, mode=mode, **{**given, **values})


def target(customer: Customer, **values: Any) -> Target:
    """Something that runbooks may touch; its settings are JSON."""
    given = {"key": f"target-{next(_numbers)}", "kind": "directory", "settings": "{}"}
    return Target.objects.create(customer=customer, **{**given, **values})


def release(customer: Customer, **values: Any) -> Release:
    """A candidate model version without files in the lake."""
    number = next(_numbers)
    given: dict[str, Any] = {
        "version": f"v{number}",
        "digest": f"{number:064x}",
        "trained_until": NOW,
        "rows": 100,
        "created_at": NOW,
    }
    return Release.objects.create(customer=customer, **{**given, **values})


def label(customer: Customer, **values: Any) -> Label:
    """A label from the desk that waits for the lake."""
    given: dict[str, Any] = {
        "subject": "Account locked",
        "body": "I cannot sign in.",
        "article": "KB0001",
        "provenance": "desk",
        "made_at": NOW,
    }
    return Label.objects.create(customer=customer, **{**given, **values})


def review(ticket: Ticket, person: Person, **values: Any) -> Review:
    """A standing verdict from the desk; the ticket keeps its status."""
    given: dict[str, Any] = {
        "customer": ticket.customer,
        "verdict": "article",
        "article": "KB0001",
        "text_hash": ticket.text_hash,
        "decided_at": NOW,
    }
    return Review.objects.create(ticket=ticket, person=person, **{**given, **values})


def run(ticket: Ticket, target: Target, **values: Any) -> Run:
    """A requested run of the shipped unlock runbook."""
    given: dict[str, Any] = {
        "customer": ticket.customer,
        "runbook": "unlock_account",
        "target_object": f"account-{next(_numbers)}",
        "parameters": {"account": "ada"},
        "text_hash": ticket.text_hash,
        "action_digest": "0" * 64,
        "requested_at": NOW,
    }
    return Run.objects.create(ticket=ticket, target=target, **{**given, **values})


def approval(ticket: Ticket, decision: Decision, **values: Any) -> Approval:
    """An open request for one person's word; the ticket keeps its status."""
    given: dict[str, Any] = {
        "customer": ticket.customer,
        "runbook": "unlock_account",
        "parameters": {"account": "ada"},
        "binding": "0" * 64,
        "asked_at": NOW,
        "expires_at": NOW + timedelta(hours=24),
    }
    return Approval.objects.create(ticket=ticket, decision=decision, **{**given, **values})


def certificate(release: Release, **values: Any) -> Certificate:
    """A valid certificate for unlocking accounts, with its registration."""
    registration = Registration.objects.create(
        customer=release.customer,
        release=release,
        gate="a" * 64,
        gate_parts={},
        runbooks=["unlock_account"],
        alpha=0.05,
        delta=0.01,
        plan={},
        basis="history",
        registered_at=NOW,
    )
    given: dict[str, Any] = {
        "customer": release.customer,
        "registration": registration,
        "gate": "a" * 64,
        "runbooks": ["unlock_account"],
        "alpha": 0.05,
        "delta": 0.01,
        "threshold": 0.9,
        "n": 351,
        "errors": 4,
        "upper_bound": 0.031,
        "basis": "history",
        "sentence": "With confidence 99 %, at most 5 % of what this gate runs is wrong.",
        "breaks": ["a new customer, source or language", "drift within the window"],
        "action_digests": {},
        "window_from": NOW - timedelta(days=60),
        "window_until": NOW,
        "issued_at": NOW,
        "expires_at": NOW + timedelta(days=90),
    }
    return Certificate.objects.create(release=release, **{**given, **values})
