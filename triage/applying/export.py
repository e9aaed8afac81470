"""The installation as a document that changes nothing when it is applied: where an existing one begins."""

from collections import defaultdict
from collections.abc import Iterable, Iterator
from typing import Any

import yaml

from runbooks.registry import RUNBOOKS
from triage.applying.references import KEPT, NONE
from triage.applying.standing_rows import Standing
from triage.models import Customer, EventEndpoint, Freeze, Limit, Person, RunbookState, Source, Target, Window
from triage.telling.kinds import EVENTS

HEAD = """\
# What this installation is set up with. Applying it changes nothing:
#     triage apply customers.yaml
# Secrets are not in here. "stored" keeps the one that the installation has; to bring one from elsewhere write
# env:NAME or file:/whole/path in its place.
"""

Mapping = dict[str, Any]


class _Dumper(yaml.SafeDumper):
    """Block style with lists set in, and no aliases."""

    def increase_indent(self, flow: bool = False, indentless: bool = False) -> None:  # noqa: ARG002 - PyYAML names it
        """Lists are indented below their name."""
        super().increase_indent(flow, indentless=False)

    def ignore_aliases(self, data: object) -> bool:  # noqa: ARG002 - PyYAML names it
        """Each value is written where it stands."""
        return True


def exported() -> str:
    """The present state as YAML, with a word in the place of every secret."""
    standing = Standing()
    document: Mapping = {
        "version": 1,
        "people": [_human(row) for row in standing.people.values()],
        "customers": [_customer(standing, row) for row in standing.customers.values()],
        "sources": [_source(standing, row) for row in standing.sources.values()],
        "freezes": [_freeze(row) for row in standing.of(standing.freezes, None)],
        "events": _endpoints(standing.of(standing.endpoints, None)),
    }
    kept = {name: value for name, value in document.items() if value}
    return HEAD + yaml.dump(kept, Dumper=_Dumper, sort_keys=False, allow_unicode=True, width=110)


def _human(row: Person) -> Mapping:
    said = {"email": row.email, "first_name": row.first_name, "last_name": row.last_name}
    flags: Mapping = {"active": False} if not row.is_active else {}
    # staff without all customers is nothing that a file gives, and so nothing that it takes away
    flags |= {"administrator": True} if row.is_superuser and row.is_staff else {}
    return {"name": row.username, **{name: value for name, value in said.items() if value}, **flags}


def _customer(standing: Standing, row: Customer) -> Mapping:
    roles: dict[str, list[str]] = defaultdict(list)
    for one in standing.of(standing.memberships, row):
        roles[one.role].append(one.person.username)
    below = {
        "alpha_by_tier": row.alpha_by_tier,
        "people": {role: sorted(names) for role, names in sorted(roles.items())},
        "runbooks": {one.runbook: _policy(one) for one in standing.of(standing.policies, row) if _live(one.runbook)},
        "targets": {one.key: _target(one) for one in standing.of(standing.targets, row)},
        "limits": [_limit(one) for one in standing.of(standing.limits, row) if _live(one.runbook)],
        "windows": _once(_window(one) for one in standing.of(standing.windows, row) if _live(one.runbook)),
        "freezes": _once(_freeze(one) for one in standing.of(standing.freezes, row)),
        "events": _endpoints(standing.of(standing.endpoints, row)),
    }
    return {
        "slug": row.slug,
        "name": row.name,
        "mode": row.mode,
        "write_back": row.write_back,
        "holdout_share": row.holdout_share,
        "verify_share": row.verify_share,
        "yearly_delta": row.yearly_delta,
        **{name: value for name, value in below.items() if value},
    }


def _live(runbook: str) -> bool:
    """A runbook that is gone cannot be named any more; its rows stay as they are."""
    return not runbook or runbook in RUNBOOKS


def _policy(row: RunbookState) -> Mapping:
    said = {"runs_an_hour": row.runs_an_hour, "concurrent": row.concurrent, "environments": row.environments}
    return {"enabled": row.enabled, **{name: value for name, value in said.items() if value}}


def _target(row: Target) -> Mapping:
    environment = {"environment": row.environment} if row.environment else {}
    return {"kind": row.kind, **environment, "settings": KEPT}


def _where(row: Limit | Window) -> Mapping:
    said = {"runbook": row.runbook, "target": row.target.key if row.target else ""}
    return {name: value for name, value in said.items() if value}


def _limit(row: Limit) -> Mapping:
    said = {"each": row.each, "runs_an_hour": row.runs_an_hour, "concurrent": row.concurrent}
    return {**_where(row), **{name: value for name, value in said.items() if value}}


def _window(row: Window) -> Mapping:
    return {
        **_where(row),
        "days": row.days,
        "begins": row.begins.isoformat(),
        "ends": row.ends.isoformat(),
        "zone": row.zone,
        "first_day": row.first_day.isoformat(),
    }


def _freeze(row: Freeze) -> Mapping:
    return {"begins": row.begins.isoformat(), "ends": row.ends.isoformat(), "reason": row.reason}


def _endpoints(rows: Iterable[EventEndpoint]) -> list[Mapping]:
    """Each by its name; of several with one name the first, since a file could not tell them apart."""
    first: dict[str, EventEndpoint] = {}
    for row in rows:
        first.setdefault(row.name, row)
    return [
        {
            "name": row.name,
            "url": row.url,
            **({"kinds": row.kinds} if row.kinds and set(row.kinds) <= set(EVENTS) else {}),
            **({"internal": True} if row.internal else {}),
            "enabled": row.enabled,
            "secrets": KEPT if row.secrets else NONE,
        }
        for row in first.values()
    ]


def _source(standing: Standing, row: Source) -> Mapping:
    mapped = [{one.part: one.value, "customer": one.customer.slug} for one in standing.mappings.get(row.pk, [])]
    owner: Mapping = {"customer": row.customer.slug} if row.customer else {"mappings": mapped}
    said = {"settings": row.settings, "assurance": row.assurance, "pull_every": row.pull_every}
    return {
        "slug": row.slug,
        "kind": row.kind,
        "name": row.name,
        **owner,
        **{name: value for name, value in said.items() if value},
        "enabled": row.enabled,
        "secrets": KEPT if row.secrets else NONE,
        "credentials": KEPT if row.credentials else NONE,
    }


def _once(rows: Iterator[Mapping]) -> list[Mapping]:
    """Without repetitions, which say nothing more."""
    return list({repr(row): row for row in rows}.values())
