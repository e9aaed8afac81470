"""Articles are written, changed and retired: by people who may, whole or not at all, and on the record."""

import hashlib
import json
import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime

from django.db import IntegrityError, transaction

from runbooks.registry import RUNBOOKS, why_not
from triage import lifecycle
from triage.models import Article, Customer, Person
from triage.permissions import check_can_write_article

KEY = r"^[A-Za-z0-9][A-Za-z0-9._-]{0,59}$"


class ArticleRefused(Exception):
    """The article cannot be stored like this; the message says what to mend."""


class ArticleChanged(Exception):
    """It is not the article that the writer looked at; the message says what to do."""


@dataclass(frozen=True, kw_only=True)
class Text:
    """All that an article says. `label` is shared by its translations; empty: the article's own key."""

    title: str
    symptoms: str = ""
    body: str = ""
    aliases: tuple[str, ...] = ()
    language: str = "en"
    label: str = ""
    runbook: str = ""
    retired: bool = False


def stamp(row: Article) -> str:
    """Stands for all that the article says: what a writer looked at, against what is stored when they save."""
    told = [row.title, row.symptoms, row.body, row.aliases, row.language, row.translation_group, row.runbook]
    return hashlib.sha256(json.dumps([*told, row.retired_at is not None]).encode()).hexdigest()[:32]


def put(
    *,
    person: Person,
    customer: Customer | None,
    key: str,
    text: Text,
    expected: Callable[[Article | None], bool],
    at: datetime,
) -> tuple[Article, bool]:
    """Store an article as a whole, and say whether it is new. None for a customer: one that all share.

    `expected` is asked about the stored row, or None, while it is locked. Raises ArticleChanged where it says no,
    ArticleRefused, PermissionDenied.
    """
    check_can_write_article(person, customer)
    _check(key, text)
    try:
        with transaction.atomic():
            row = Article.objects.select_for_update().filter(customer=customer, key=key).first()
            if not expected(row):
                raise ArticleChanged("The article is not as it was when you read it. Read it again.")
            new = row is None
            row = row or Article(customer=customer, key=key)
            changed = _write(row, text, at=at)
            row.save()
            event = "added" if new else "changed"
            if "retired_at" in changed and not new:
                event = "retired" if text.retired else "back"
            lifecycle.record(row=row, event=event, at=at, actor=f"person:{person.pk}", reason=", ".join(changed))
    except IntegrityError as error:
        raise ArticleChanged("Somebody else wrote an article with this key at the same moment. Read it.") from error
    return row, new


def _write(row: Article, text: Text, *, at: datetime) -> list[str]:
    """Set the columns; the names of those that changed."""
    values = {
        "title": text.title.strip(),
        "symptoms": text.symptoms,
        "body": text.body,
        "aliases": list(text.aliases),
        "language": text.language,
        "translation_group": text.label or row.key,
        "runbook": text.runbook,
        "retired_at": (row.retired_at or at) if text.retired else None,
    }
    changed = [name for name, value in values.items() if getattr(row, name) != value]
    for name in changed:
        setattr(row, name, values[name])
    return changed


def _check(key: str, text: Text) -> None:
    if not re.fullmatch(KEY, key):
        raise ArticleRefused("key: letters, digits, dots, dashes and underscores, at most 60.")
    if not text.title.strip():
        raise ArticleRefused("title: say in a few words what the article is about.")
    if text.label and not re.fullmatch(KEY, text.label):
        raise ArticleRefused("label: letters, digits, dots, dashes and underscores, at most 60.")
    if text.runbook and text.runbook not in RUNBOOKS:
        raise ArticleRefused(f"runbook: {why_not(text.runbook) or 'there is none of this key'}")
