"""Which rows are one customer's: derived from the tables themselves, so that a new table is never forgotten.

A table belongs to customers where it names one; a table without a customer belongs to whose rows its own hang on.
"""

import base64
import json
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, datetime, time
from functools import cached_property
from graphlib import TopologicalSorter
from typing import Any
from uuid import UUID

from django.apps import apps
from django.db import models
from django.db.models import Q, QuerySet

from triage.models import Customer, OneTimeLink, Person, Source
from triage.models.fields import EncryptedTextField

LEFT_OUT = {(OneTimeLink, "digest")}
"""Columns that open something, besides those that are encrypted."""

BATCH = 500


@dataclass(frozen=True)
class Belonging:
    """One table and the look-ups that lead from its rows to a customer."""

    model: type[models.Model]
    paths: tuple[str, ...]

    @property
    def name(self) -> str:
        """As the log names it."""
        return self.model._meta.model_name or ""

    def rows(self, customer: int) -> "QuerySet[Any]":
        """The customer's rows, by primary key."""
        condition = Q()
        for path in self.paths:
            condition |= Q(**{path: customer})
        found = self.model._default_manager.filter(condition).order_by("pk")
        return found.distinct() if len(self.paths) > 1 else found

    @cached_property
    def columns(self) -> "tuple[models.Field[Any, Any], ...]":
        """What is exported of a row."""
        return tuple(one for one in self.model._meta.concrete_fields if (self.model, one.name) not in LEFT_OUT)

    @cached_property
    def person_columns(self) -> tuple[str, ...]:
        """Columns that name a person."""
        return tuple(one.attname for one in self.columns if one.related_model is Person)


def tables() -> list[Belonging]:
    """Every table with rows of a customer, such that rows come before what they hang on; the customer itself last."""
    paths = _paths()
    order: TopologicalSorter[type[models.Model]] = TopologicalSorter()
    for model in paths:
        order.add(model)
        for field in _links(model):
            if field.related_model in paths and field.related_model is not model:
                order.add(field.related_model, model)
    sorted_ = [Belonging(model, paths[model]) for model in order.static_order()]
    return [*(one for one in sorted_ if one.model is not Customer), Belonging(Customer, ("pk",))]


def row(table: Belonging, found: models.Model) -> dict[str, Any]:
    """One row as JSON takes it: secrets only as set or not, bytes in base64, moments in ISO 8601."""
    values = {one.attname: _value(one, getattr(found, one.attname)) for one in table.columns}
    for many in table.model._meta.many_to_many:
        values[many.name] = [str(other) for other in getattr(found, many.name).all()]
    return values


def line(values: dict[str, Any]) -> bytes:
    """One line of JSON."""
    return json.dumps(values, ensure_ascii=False, separators=(",", ":")).encode("utf-8", "replace") + b"\n"


def batches(rows: "QuerySet[Any]") -> Iterator[list[Any]]:
    """Rows by primary key, some hundred at a time, so that no cursor stays open."""
    last = 0
    while batch := list(rows.filter(pk__gt=last)[:BATCH]):
        yield batch
        last = batch[-1].pk


def _paths() -> dict[type[models.Model], tuple[str, ...]]:
    found: dict[type[models.Model], tuple[str, ...]] = {Customer: ("pk",)}
    pending = []
    for model in apps.get_app_config("triage").get_models():
        own = tuple(one.attname for one in model._meta.concrete_fields if one.related_model is Customer)
        own = own or tuple(one.name for one in model._meta.concrete_fields if one.name == "customer_id")
        if own:
            found[model] = own
        elif model not in found:
            pending.append(model)
    grown = True
    while grown:  # a table may hang on one that hangs on another
        grown = False
        for model in [one for one in pending if one not in found]:
            through = [
                (field.name, path)
                for field in _links(model)
                if field.related_model in found
                for path in found[field.related_model]
            ]
            if through:
                found[model] = tuple(f"{name}__{path}" for name, path in through)
                grown = True
    return found


def _links(model: type[models.Model]) -> "Iterator[models.ForeignKey[Any, Any]]":
    """What the row cannot be without: links that are merely emptied do not count."""
    for field in model._meta.concrete_fields:
        if isinstance(field, models.ForeignKey) and field.remote_field.on_delete is not models.SET_NULL:
            yield field


def _value(field: "models.Field[Any, Any]", value: Any) -> Any:
    if isinstance(field, EncryptedTextField):
        return "(set)" if value else ""
    if isinstance(value, datetime | date | time):
        return value.isoformat()
    if isinstance(value, bytes | memoryview):
        return base64.b64encode(bytes(value)).decode()
    return str(value) if isinstance(value, UUID) else value


def foreign(source: Source, customer: int) -> str:
    """Which table still has another's rows that need this source; empty where none has."""
    for model in _paths():
        for field in _links(model):
            if field.related_model is not Source or "customer" not in {one.name for one in model._meta.fields}:
                continue
            others = model._default_manager.filter(**{field.name: source}).exclude(customer=customer)
            if others.exists():
                return model._meta.model_name or ""
    return ""
