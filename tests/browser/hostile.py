"""500 hostile strings, each with a mark of its own, and a hand that writes them into every text of the database.

They stand in hostile.jsonl, one a line: elements, attributes and handlers, addresses, SVG and MathML, forms that change when they are parsed again,
template syntax, attributes of htmx and of the desk's own script, entities, JSON, CSS, spreadsheets, odd Unicode.
"""

import json
import re
from functools import lru_cache
from pathlib import Path
from typing import Any

from django.apps import apps
from django.db import models

COUNT = 500
MARK = re.compile(r"xq(\d{3})z")
_FILE = Path(__file__).with_suffix(".jsonl")
_ADDRESS = re.compile(r"[\x01\s]*[a-zA-Z&#;\d\s-]+(:|&colon;)|[/\\]{2}")


@lru_cache
def strings() -> list[str]:
    """The 500 strings; each holds its own mark, `xq000z` to `xq499z`."""
    return [str(json.loads(line)) for line in _FILE.read_text().splitlines()]


OURS = {
    "password": "a hash",
    "digest sha256 text_hash gate storm_key cluster alike text_key binding action_digest action_digests asked": "hashes of ours",
    "username": "letters, digits and @ . + - _ alone: Django's validator",
    "zone language(Person) theme spoken days": "chosen from a list, or refused",
    "runbook runbooks version basis purpose phase what plan gate_parts action_version": "names of ours, from the registry",
    "kind(Source) kind(ArticleFeed) kind(Target) kind(Notification) kind(Job) kind(MailChoice) kinds scopes": "ours",
    "subject(AuditEvent) event actor(AuditEvent) before after provenance follow draw_purpose": "words of ours",
    "settings query measures verdict breaks monitor rows report counts pass_counts alpha_by_tier weeks": "written by ours",
    "origins public_hosts content_type environments": "addresses and hosts, refused unless they are some",
    "key(Notification) key(Writeback) key(KeptAnswer) job cursor pull_cursor place lake_key name(WorkerBeat)": "ours",
    "url link location": "addresses: whole values of their own below",
    "email mail address issuer": "addresses of mail and services, refused unless they are some",
}  # fmt: skip
"""Fields that no stranger's text can enter, by name or name(Model), and why. Every other text is made hostile."""

FREE = ("fields", "headers", "assurance", "labels")
"""JSON whose keys, too, come from outside or are labels."""

NAMES = re.compile(r"[0-9a-f]{8}-[0-9a-f-]{27}|[0-9a-f]{64}|\d{4}-\d\d-\d\dT\S+")
"""Identities, hashes and times that are kept as texts."""

_OURS = {name for names in OURS for name in names.split()}


def poison() -> set[str]:
    """Write all strings behind every text of every row; the fields that it touched. Equal texts stay equal."""
    touched = set()
    for model in apps.get_app_config("triage").get_models():
        fields = [one for one in model._meta.concrete_fields if _takes_text(model, one)]
        for row in model._base_manager.all() if fields else ():
            values = {one.attname: _poisoned(getattr(row, one.attname), keys=one.name in FREE) for one in fields}
            values = {name: value for name, value in values.items() if value != getattr(row, name)}
            touched |= {f"{model.__name__}.{name}" for name in values}
            model._base_manager.filter(pk=row.pk).update(**values)
    return touched


def _takes_text(model: type[models.Model], field: models.Field[Any, Any]) -> bool:
    text = type(field) in (models.CharField, models.TextField, models.JSONField, models.EmailField)
    return text and not field.choices and not {field.name, f"{field.name}({model.__name__})"} & _OURS


def _poisoned(value: Any, *, keys: bool = False) -> Any:
    if isinstance(value, str):
        return f"{value} {whole()}" if value and not NAMES.fullmatch(value) else value
    if isinstance(value, list):
        return [_poisoned(one) for one in value]
    if isinstance(value, dict):
        return {_poisoned(key) if keys else key: _poisoned(one) for key, one in value.items()}
    return value


@lru_cache
def addresses() -> list[str]:
    """Those that are whole addresses: no link may lead there."""
    return [one for one in strings() if _ADDRESS.match(one) and not one.startswith("http")]


@lru_cache
def whole() -> str:
    """The 500 strings as one text."""
    return "\n".join(strings())
