"""What applying a document would change: rows to create, to change and, where asked, to take out of use.

A plan is made of rows in memory: what it shows is what would be saved. Secrets are told as set or changed only.
"""

import json
from collections import Counter
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import date, datetime, time
from typing import Any, Literal, TypeVar

from django.db import models

Verb = Literal["create", "change", "switch off", "remove"]
Row = TypeVar("Row", bound=models.Model)

SIGNS: Mapping[Verb, str] = {"create": "+", "change": "~", "switch off": "o", "remove": "-"}
MADE = "(made; shown once)"
LONGEST = 120
RESTRAINTS = frozenset({"limit", "window", "freeze"})


@dataclass(frozen=True)
class Difference:
    """One column: before and after as they may be shown; `old` is None for a new row."""

    name: str
    old: str | None
    new: str

    def words(self) -> str:
        """As in `mode: observe -> suggest`."""
        return f"{self.name}: {self.new}" if self.old is None else f"{self.name}: {self.old} -> {self.new}"


@dataclass(kw_only=True)
class Change:
    """One row to be written. `columns`: of a row that is there already, those that change."""

    verb: Verb
    what: str
    name: str
    differences: tuple[Difference, ...]
    row: models.Model
    columns: tuple[str, ...] = ()
    event: str = ""

    def as_dict(self) -> dict[str, Any]:
        """For a program, without any secret."""
        fields = [{"field": one.name, "old": one.old, "new": one.new} for one in self.differences]
        return {"verb": self.verb, "what": self.what, "name": self.name, "fields": fields}


@dataclass(kw_only=True)
class Plan:
    """All changes in the order in which they can be written; `notes`: what a person should know besides."""

    changes: list[Change] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    unchanged: int = 0

    def warn_of_removals(self) -> None:
        """Say in one line what holds runs back today and would not any more."""
        gone = Counter(f"{one.what}s" for one in self.changes if one.verb == "remove" and one.what in RESTRAINTS)
        if gone:
            told = ", ".join(f"{number} {what}" for what, number in sorted(gone.items()))
            self.notes.append(f"WARNING: --prune removes {told}: runs that they hold back today will start")

    def want(
        self,
        found: Row | None,
        model: type[Row],
        *,
        what: str,
        name: str,
        values: Mapping[str, Any],
        new: Mapping[str, Any] | None = None,
        secret: Collection[str] = (),
        verb: Verb = "change",
        event: str = "",
    ) -> Row:
        """The row with these values: `found`, changed in memory where it differs, or a new one that has `new` too."""
        if found is None:
            given = {**(new or {}), **values}
            row = model(**given)
            self.changes.append(
                Change(verb="create", what=what, name=name, row=row, differences=tuple(_new(given, secret)))
            )
            return row
        differing = {column: value for column, value in values.items() if not _same(found, column, value)}
        if not differing:
            self.unchanged += 1
            return found
        told = tuple(
            Difference(column, *(_secret(found, column) if column in secret else _shown_pair(found, column, value)))
            for column, value in differing.items()
        )
        for column, value in differing.items():
            setattr(found, column, value)
        self.changes.append(
            Change(verb=verb, what=what, name=name, row=found, differences=told, columns=tuple(differing), event=event)
        )
        return found

    def remove(self, row: models.Model, *, what: str, name: str) -> None:
        """Take the row away; only for what says who may do what and when, never for what tickets hang on."""
        self.changes.append(Change(verb="remove", what=what, name=name, row=row, differences=()))

    def counts(self) -> dict[str, int]:
        """How many rows of each verb, and how many stay as they are."""
        found = Counter(change.verb for change in self.changes)
        return {**{verb: found[verb] for verb in SIGNS}, "unchanged": self.unchanged}

    def as_dict(self) -> dict[str, Any]:
        """For a program; two plans that would do the same are equal."""
        changes = [change.as_dict() for change in self.changes]
        return {"changes": changes, "notes": self.notes, "counts": self.counts()}

    def lines(self) -> Iterator[str]:
        """For a person: one row, and below it what is new about it."""
        for change in self.changes:
            yield f"{SIGNS[change.verb]} {change.what} {change.name}"
            yield from (f"    {one.words()}" for one in change.differences)
        for note in self.notes:
            yield f"! {note}"
        told = [f"{number} to {verb}" for verb, number in self.counts().items() if number and verb != "unchanged"]
        yield f"{', '.join(told) or 'Nothing to do'}; {self.unchanged} as they are."


def _same(row: models.Model, column: str, value: object) -> bool:
    if isinstance(value, models.Model):
        return value.pk is not None and getattr(row, f"{column}_id") == value.pk
    stored = getattr(row, column)
    if isinstance(value, float) and isinstance(stored, float):
        return abs(stored - value) < 1e-12
    return bool(stored == value)


def _new(given: Mapping[str, Any], secret: Collection[str]) -> Iterator[Difference]:
    for column, value in given.items():
        if column in secret:
            if value:
                yield Difference(column, None, "(set)")
        elif value not in (None, "", {}, []):
            yield Difference(column, None, _shown(value))


def _secret(row: models.Model, column: str) -> tuple[str, str]:
    return ("(set)", "(changed)") if getattr(row, column) else ("(none)", "(set)")


def _shown_pair(row: models.Model, column: str, value: object) -> tuple[str, str]:
    return _shown(getattr(row, column)), _shown(value)


def _shown(value: object) -> str:
    if value in (None, ""):
        return "(none)"
    if isinstance(value, models.Model):
        return str(getattr(value, "slug", "") or getattr(value, "key", "") or getattr(value, "username", "") or value)
    if isinstance(value, datetime | date | time):
        return value.isoformat()
    if isinstance(value, bool | list | dict):
        value = json.dumps(value, ensure_ascii=False, sort_keys=True)
    text = str(value)
    return text if len(text) <= LONGEST else f"{text[:LONGEST]}..."
