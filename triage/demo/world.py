"""What the demo starts from: a customer with a source, articles, targets, and tickets of the past and of today.

Either the sample company, whose tickets are generated, or any labelled file with one article for each label.
"""

import hashlib
import json
import re
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from classifier.formats import jsonl
from classifier.text import Document, masked
from runbooks.targets import directory, journal
from triage.demo import accounts, articles, tickets
from triage.learning import HistoryRow
from triage.models import Article, Customer, Mode, RunbookState, Source, Target

ALPHA = 0.05
TRAIN_ROWS, CERTIFY_ROWS = 2000, 1500
CERTIFY_SHARE = 0.35
MOST_PEOPLE = 1296


@dataclass(frozen=True)
class Sent:
    """One ticket of the stream and the truth about it: its article (None: none fits) and the right parameters."""

    payload: dict[str, Any]
    article: str | None
    parameters: dict[str, str] | None


@dataclass(frozen=True)
class World:
    """Everything that a demo needs to know besides the database."""

    customer: Customer
    source: Source
    secret: str
    pool: tuple[str, ...]
    training: list[tuple[Document, str]]
    out_of_scope: list[Document]
    history: list[HistoryRow]
    stream: list[Sent]


def samples(*, home: Path, peer: str, secret: str, seed: int, count: int) -> World:
    """The sample company."""
    customer, source = _customer("Sample Company (generated)", peer=peer, secret=secret)
    for article in articles.articles():
        Article.objects.create(
            key=article.key,
            title=article.title,
            symptoms=article.symptoms,
            body=article.body,
            aliases=list(article.aliases),
            language=article.language,
            translation_group=article.translation_group,
            runbook=article.runbook,
        )
    path = home / "targets" / "directory.sqlite3"
    path.parent.mkdir(mode=0o700)
    staff = min(MOST_PEOPLE, max(120, count // 2))  # few enough to repeat, so that checks find things done already
    people = accounts.people(staff)
    directory.create(path, people, groups=accounts.groups(), policies=accounts.policies(staff))
    pool = tuple(sorted(set(articles.runbook_articles().values())))
    _target(customer, kind="directory", path=path, pool=pool)
    train, certify = tickets.generate_history(seed=seed, n_train=TRAIN_ROWS, n_certify=CERTIFY_ROWS, people=people)
    return World(
        customer=customer,
        source=source,
        secret=secret,
        pool=pool,
        training=[(Document(row.subject, row.body), row.truth) for row in train if row.truth],
        out_of_scope=[Document(row.subject, row.body) for row in train if not row.truth],
        history=[_history(row) for row in certify],
        stream=[
            Sent(_payload(row), row.truth, row.truth_parameters)
            for row in tickets.generate(seed=seed, n=count, stream=True, people=people)
        ],
    )


def from_file(*, file: Path, home: Path, peer: str, secret: str, count: int) -> World:
    """A labelled file: one article for each label, whose runbook only writes down what it would have done."""
    customer, source = _customer(f"Tickets of {file.name}", peer=peer, secret=secret)
    rows = sorted(jsonl.read(file), key=lambda row: hashlib.sha256(repr(row.document).encode()).hexdigest())
    if len(rows) < count + 300:
        raise ValueError(f"{file} has {len(rows)} rows; {count} to send and 300 to learn from are needed")
    past, today = rows[:-count], rows[-count:]
    certify = int(len(past) * CERTIFY_SHARE)
    labels = {label: _article_key(label) for label in sorted({row.label for row in rows})}
    for label, key in labels.items():
        Article.objects.create(key=key, title=label, translation_group=key, runbook="record_only")
    path = home / "targets" / "journal.sqlite3"
    path.parent.mkdir(mode=0o700)
    journal.create(path)
    _target(customer, kind="journal", path=path, pool=("record_only",))
    return World(
        customer=customer,
        source=source,
        secret=secret,
        pool=("record_only",),
        training=[(row.document, labels[row.label]) for row in past[certify:]],
        out_of_scope=[],
        history=[_file_history(row, labels) for row in past[:certify]],
        stream=[Sent(_file_payload(number, row), labels[row.label], None) for number, row in enumerate(today)],
    )


def _customer(name: str, *, peer: str, secret: str) -> tuple[Customer, Source]:
    customer = Customer.objects.get(slug="default")
    customer.name, customer.mode = name, Mode.AUTOMATE
    customer.holdout_share, customer.verify_share = 0.03, 0.05
    customer.save(update_fields=["name", "mode", "holdout_share", "verify_share"])
    source = Source.objects.create(
        slug="demo",
        name="Demo ticket system",
        customer=customer,
        secrets=secret,
        settings={"read_url": f"{peer}/tickets/{{external_id}}", "reply_url": f"{peer}/replies"},
        assurance={"portal": "portal", "mail": "mail", "monitoring": "monitored", "phone": "none", "chat": "none"},
    )
    return customer, source


def _target(customer: Customer, *, kind: str, path: Path, pool: tuple[str, ...]) -> None:
    Target.objects.create(customer=customer, key=kind, kind=kind, settings=json.dumps({"path": str(path)}))
    for runbook in pool:
        # the shipped limits suit a company's day; a demo sends a month's worth within a minute
        RunbookState.objects.create(customer=customer, runbook=runbook, runs_an_hour=100_000)


def _cluster(document: Document, day: str) -> str:
    return hashlib.sha256(f"{masked(document)}\n{day}".encode()).hexdigest()


def _history(row: tickets.Sample) -> HistoryRow:
    document = Document(row.subject, row.body)
    return HistoryRow(
        document=document,
        label=row.truth,
        cluster=_cluster(document, ""),
        parameters=row.truth_parameters,
        requester=row.requester,
        fields=row.fields,
        at=datetime.now(UTC) - timedelta(days=1),
    )


def _file_history(row: jsonl.Row, labels: dict[str, str]) -> HistoryRow:
    return HistoryRow(
        document=row.document,
        label=labels[row.label],
        cluster=_cluster(row.document, ""),
        parameters=None,
        requester="",
        fields={},
        at=datetime.now(UTC) - timedelta(days=1),
    )


def _payload(row: tickets.Sample) -> dict[str, Any]:
    now = datetime.now(UTC).isoformat()
    return {
        "external_id": row.external_id,
        "subject": row.subject,
        "body": row.body,
        "requester": row.requester,
        "channel": row.channel,
        "actor": row.actor,
        "language": row.language,
        "kind": row.kind,
        "status": "new",
        "priority": row.priority,
        "created_at": now,
        "updated_at": now,
        "attachments": [],
        "fields": row.fields,
    }


def _file_payload(number: int, row: jsonl.Row) -> dict[str, Any]:
    now = datetime.now(UTC).isoformat()
    return {
        "external_id": f"ROW-{number:06d}",
        "subject": row.document.subject,
        "body": row.document.body,
        "requester": "",
        "channel": "file",
        "actor": "person",
        "kind": "incident",
        "status": "new",
        "priority": "3",
        "created_at": now,
        "updated_at": now,
        "attachments": [],
        "fields": {},
    }


def _article_key(label: str) -> str:
    """A key for any label, equal labels one key: readable where it can be, told apart by a hash where it cannot."""
    plain = re.sub(r"[^A-Za-z0-9_.-]+", "-", label)[:40].strip("-")
    return plain if plain == label else f"{plain}-{hashlib.sha256(label.encode()).hexdigest()[:8]}"
