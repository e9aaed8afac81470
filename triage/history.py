"""Past tickets that people solved, from a file: each becomes a label that models learn from, once.

CSV or JSON Lines with `subject`, `body` and `article`; the file is taken whole or not at all.
"""

import csv
import hashlib
import io
import json
import uuid
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.utils.translation import gettext as _

from triage import lifecycle
from triage.itsm import PayloadInvalid, strict_json
from triage.models import Article, AuditEvent, Customer, Label

PROVENANCE = "history"
ENCODINGS = {"utf-8": "UTF-8", "utf-16": "UTF-16", "cp1252": "Windows-1252"}
MOST_BYTES = 20 * 1024 * 1024
MOST_ROWS = 50_000
LONGEST_SUBJECT, LONGEST_BODY = 1_000, 64_000
SHOWN_PROBLEMS = 20
NONE = "none"
"""In the column `article`: no article fits."""

COLUMNS = ("subject", "body", "article")
BATCH = 1_000
_ROWS = uuid.UUID("5a1d3a2e-6f0c-4e55-9d53-0d9c4a7a1f10")


class HistoryRefused(Exception):
    """Nothing was stored. `problems`: (line, what is wrong there and how to mend it); 0 stands for the whole file."""

    def __init__(self, problems: list[tuple[int, str]], *, count: int = 0) -> None:
        self.problems = problems[:SHOWN_PROBLEMS]
        self.count = max(count, len(problems))
        super().__init__("; ".join(f"line {line}: {why}" if line else why for line, why in self.problems))


@dataclass(frozen=True)
class Past:
    """One solved ticket. `article`: a label; empty where no article fits."""

    subject: str
    body: str
    article: str


@dataclass(frozen=True, kw_only=True)
class Imported:
    """What a file brought: its rows, how many of them are new labels, and of how many articles the rows are."""

    digest: str
    rows: int
    new: int
    articles: int
    outside: int

    def as_dict(self) -> dict[str, Any]:
        """As JSON."""
        return {"sha256": self.digest, "rows": self.rows, "new": self.new, "articles": self.articles} | {
            "outside": self.outside
        }


def bring_in(*, customer: Customer, raw: bytes, actor: str, at: datetime, encoding: str = "utf-8") -> Imported:
    """Store the labels of a file; raises HistoryRefused. The caller has asked `check_can_import_history`.

    A row is named by the hash of what it says: the same file again, a longer one, or one whose import was cut short
    adds what is missing and nothing twice.
    """
    rows = read(raw, labels=labels_of(customer), encoding=encoding)
    digest = hashlib.sha256(raw).hexdigest()
    wanted = {_name(customer, row): row for row in rows}
    names = list(wanted)
    new = 0
    for start in range(0, len(names), BATCH):
        batch = names[start : start + BATCH]
        known = set(Label.objects.filter(uuid__in=batch).values_list("uuid", flat=True))
        fresh = [_label(customer, name, wanted[name], at=at) for name in batch if name not in known]
        Label.objects.bulk_create(fresh, ignore_conflicts=True)  # the same file may be read twice at the same moment
        new += len(fresh)
    said = {row.article for row in rows}
    found = Imported(
        digest=digest,
        rows=len(rows),
        new=new,
        articles=len(said - {""}),
        outside=sum(not row.article for row in rows),
    )
    _record(customer, found, actor=actor, at=at)
    return found


def _record(customer: Customer, found: Imported, *, actor: str, at: datetime) -> None:
    said = f"{found.rows} past tickets, {found.new} of them new, sha256 {found.digest}"
    before = AuditEvent.objects.filter(subject="customer", subject_id=customer.pk, event="history imported")
    if found.new or not before.filter(reason__endswith=found.digest).exists():
        lifecycle.record(row=customer, event="history imported", at=at, actor=actor, reason=said)


def labels_of(customer: Customer) -> dict[str, str]:
    """The label of each live article that is offered to the customer, by label and by key."""
    found: dict[str, str] = {}
    for key, label in Article.objects.offered_to(customer).values_list("key", "translation_group"):
        found[key] = label
        found[label] = label
    return found


def read(raw: bytes, *, labels: Mapping[str, str], encoding: str = "utf-8") -> list[Past]:
    """The rows of a file; raises HistoryRefused with every line that cannot be used."""
    if not raw.strip():
        raise HistoryRefused([(0, _("The file is empty."))])
    if len(raw) > MOST_BYTES:
        raise HistoryRefused([(0, _("The file has more than %(most)s MB: split it.") % {"most": MOST_BYTES >> 20})])
    text = _decoded(raw, encoding)
    records = _json_lines(text) if text.lstrip().startswith("{") else _csv(text)
    rows: list[Past] = []
    problems: list[tuple[int, str]] = []
    for count, (line, record) in enumerate(records, start=1):
        if count > MOST_ROWS:
            why = _("The file has more than %(most)s tickets: split it.") % {"most": MOST_ROWS}
            raise HistoryRefused([(line, why)])
        found = record if isinstance(record, str) else _past(record, labels)
        if isinstance(found, str):
            problems.append((line, found))
        else:
            rows.append(found)
    if problems:
        raise HistoryRefused(problems)
    if not rows:
        raise HistoryRefused([(0, _("The file has a heading and no tickets."))])
    return rows


def _decoded(raw: bytes, encoding: str) -> str:
    if encoding not in ENCODINGS:
        raise HistoryRefused([(0, _("Choose one of the encodings: %(names)s.") % {"names": ", ".join(ENCODINGS)})])
    if encoding == "utf-8" and raw[:2] in (b"\xff\xfe", b"\xfe\xff"):
        encoding = "utf-16"  # it says so itself
    try:
        text = raw.decode("utf-8-sig" if encoding == "utf-8" else encoding)
    except UnicodeDecodeError as error:
        line = raw.count(b"\n", 0, error.start) + 1
        why = _("This is not %(name)s. Save the file as UTF-8, or choose its encoding.") % {"name": ENCODINGS[encoding]}
        raise HistoryRefused([(line, why)]) from None
    if "\0" in text:
        line = text.count("\n", 0, text.index("\0")) + 1
        raise HistoryRefused([(line, _("A NUL character stands here. Choose the file's encoding, or take it out."))])
    return text


def _json_lines(text: str) -> Iterator[tuple[int, dict[str, object] | str]]:
    for line, part in enumerate(text.split("\n"), start=1):
        if not part.strip():
            continue
        try:
            value = strict_json.loads(part.encode("utf-8", "surrogatepass"))
        except PayloadInvalid as error:
            yield line, str(error)
            continue
        yield line, value if isinstance(value, dict) else _("This line is no JSON object.")


def _csv(text: str) -> Iterator[tuple[int, dict[str, object] | str]]:
    """Records of CSV (RFC 4180) with the line that each begins on; commas, semicolons or tabs, as the heading has."""
    heading = text.split("\n", 1)[0]
    separator = max(",;\t", key=heading.count)
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=separator, strict=True)
    line = 1
    try:
        names = [name.strip().casefold() for name in next(reader)]
        _check_heading(names)
        line = reader.line_num + 1
        for cells in reader:
            begins, line = line, reader.line_num + 1
            if not any(cells):
                continue
            if len(cells) != len(names):
                many = {"found": len(cells), "wanted": len(names)}
                yield begins, _("%(found)s columns where the heading has %(wanted)s: is a quote missing?") % many
                continue
            yield begins, dict(zip(names, cells, strict=True))
    except csv.Error as error:
        raise HistoryRefused([(line, _("This is not CSV: %(why)s.") % {"why": error})]) from None


def _check_heading(names: list[str]) -> None:
    missing = [name for name in COLUMNS if names.count(name) != 1]
    if missing:
        told = {"missing": ", ".join(missing), "found": ", ".join(strict_json.shown(name) for name in names[:10])}
        why = _("The heading names each of subject, body and article once. Look at: %(missing)s. It has: %(found)s.")
        raise HistoryRefused([(1, why % told)])


def _past(record: Mapping[str, object], labels: Mapping[str, str]) -> Past | str:
    """The record as a row, or what is wrong with it."""
    texts: dict[str, str] = {}
    for name in COLUMNS:
        value = record.get(name, "" if name == "subject" else None)
        if not isinstance(value, str):
            return _("%(name)s is missing or no text.") % {"name": name}
        texts[name] = value.strip()
    subject, body, article = (texts[name] for name in COLUMNS)
    if not (subject or body):
        return _("Subject and body are both empty.")
    if len(subject) > LONGEST_SUBJECT or len(body) > LONGEST_BODY:
        most = {"subject": LONGEST_SUBJECT, "body": LONGEST_BODY}
        return _("Too long: a subject has at most %(subject)s characters, a body %(body)s.") % most
    try:
        f"{subject}{body}{article}".encode()
    except UnicodeEncodeError:
        return _("Half of a character stands here (a lone surrogate). Take it out.")
    if not article:
        return _("article is empty: name one, or write %(none)s where no article fits.") % {"none": NONE}
    if article == NONE and NONE not in labels:
        return Past(subject, body, "")
    if article not in labels:
        return _("There is no live article %(key)s. Write it first, or mend the key.") % {
            "key": strict_json.shown(article)
        }
    return Past(subject, body, labels[article])


def _name(customer: Customer, row: Past) -> uuid.UUID:
    told = json.dumps([str(customer.uuid), row.subject, row.body, row.article])
    return uuid.uuid5(_ROWS, hashlib.sha256(told.encode()).hexdigest())


def _label(customer: Customer, name: uuid.UUID, row: Past, *, at: datetime) -> Label:
    return Label(
        uuid=name,
        customer=customer,
        subject=row.subject,
        body=row.body,
        article=row.article,
        provenance=PROVENANCE,
        made_at=at,
    )
