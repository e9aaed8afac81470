"""What a model is trained on: a customer's labels at one version of the lake's table, or rows handed in.

Part of the texts, chosen by hash, is held out from every training, so that any two models can be compared on rows that
neither has seen. What a model did see is remembered by hash, so that no certificate is issued on it.
"""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from classifier.text import Document, masked, text_hash
from triage.lake import here
from triage.models import Article, Customer, Draw

HELD_OUT = 0.15
"""Share of the distinct texts that no model is trained on."""

FEWEST = 3
"""An article with fewer rows left to train on gets its held-out rows as well: better known than measured."""

MOST_HELD_OUT = 5000

Labelled = tuple[Document, str]


class TrainingRefused(Exception):
    """No useful model can be trained from this; the message says what is missing."""


@dataclass(frozen=True, kw_only=True)
class Labels:
    """Rows to learn from. `until`: the newest label; `table_version`: of the labels' table, None for rows handed in.

    `dropped` counts labels that were left aside, by reason; `origins` names each row's label: `key_of_row` to uuid.
    """

    rows: list[Labelled]
    out_of_scope: list[Document]
    until: datetime
    table_version: int | None = None
    dropped: dict[str, int] = field(default_factory=dict)
    origins: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class Split:
    """Rows to train on and rows to measure on."""

    train: list[Labelled]
    held_out: list[Labelled]


def labels_of(customer: Customer, *, at: datetime) -> Labels:
    """The customer's labels in the lake, now: the newest of each text, of live articles, and not drawn for the holdout.

    Drawn texts certify models, so they train none. An empty label says that no article fits. Raises LakeError.
    """
    version, found = here.tables().read("labels", customer=str(customer.uuid))
    live = set(Article.objects.offered_to(customer).values_list("translation_group", flat=True))
    dropped = dict.fromkeys(("withdrawn", "drawn", "article not offered", "said anew"), 0)
    newest: dict[str, tuple[datetime, Document, str]] = {}
    uuids: dict[str, str] = {}
    for row in sorted(found, key=_made_at):
        document, label = Document(str(row["subject"] or ""), str(row["body"] or "")), str(row["article"] or "")
        if why := _unusable(row, label, live):
            dropped[why] += 1
            continue
        key = text_hash(document)
        dropped["said anew"] += key in newest
        newest[key] = (_made_at(row), document, label)
        uuids[key] = str(row["uuid"])
    kept = [newest[key] for key in sorted(newest)]
    return Labels(
        rows=[(document, label) for _, document, label in kept if label],
        out_of_scope=[document for _, document, label in kept if not label],
        until=max((made for made, _, _ in kept), default=at),
        table_version=version,
        dropped=dropped,
        origins={key_of_row((document, label)): uuids[key] for key, (_, document, label) in newest.items() if label},
    )


def _made_at(row: Mapping[str, object]) -> datetime:
    made = row["made_at"]
    if not isinstance(made, datetime):
        raise TrainingRefused(f"the label {row['uuid']} in the lake has no time of its making")
    return made


def _unusable(row: Mapping[str, object], label: str, live: set[str]) -> str:
    if row["withdrawn_at"] is not None:
        return "withdrawn"
    if row["draw_purpose"] == Draw.Purpose.HOLDOUT:
        return "drawn"
    return "article not offered" if label and label not in live else ""


def split(rows: Sequence[Labelled]) -> Split:
    """Hold a share of the texts out by hash; texts that differ in numbers or hosts only stay together."""
    train: list[Labelled] = []
    aside: list[Labelled] = []
    for row in rows:
        (aside if is_held_out(row[0]) else train).append(row)
    counts: dict[str, int] = {}
    for _, label in train:
        counts[label] = counts.get(label, 0) + 1
    rare = [row for row in aside if counts.get(row[1], 0) < FEWEST]
    held = [row for row in aside if counts.get(row[1], 0) >= FEWEST]
    return Split(train=train + rare, held_out=sorted(held, key=lambda row: key_of(row[0]))[:MOST_HELD_OUT])


def key_of(document: Document) -> str:
    """16 hex digits that stand for a text."""
    return text_hash(document)[:16]


def key_of_row(row: Labelled) -> str:
    """16 hex digits that stand for a text with its label: a label that was corrected makes another row."""
    return hashlib.sha256(f"{text_hash(row[0])} {row[1]}".encode()).hexdigest()[:16]


def is_held_out(document: Document) -> bool:
    digest = hashlib.sha256(b"held out\n" + masked(document).encode()).digest()
    return int.from_bytes(digest[:8]) < HELD_OUT * 2**64
