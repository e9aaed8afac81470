"""Assignment group, assignee and category of a ServiceNow record, and the articles that agents attached to it."""

import re
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

from triage.itsm import placing, rest
from triage.itsm.outgoing import ExchangeFailed
from triage.itsm.placing import FIELD, Order, Wanted
from triage.models import Source

COLUMNS = {"group": "assignment_group", "assignee": "assigned_to", "category": "category", "subcategory": "subcategory"}
UNSET = {"category": ["inquiry"]}
"""Out of the box an incident's category is `inquiry` until somebody chooses one."""

REFERENCES = {"group": ("sys_user_group", "name"), "assignee": ("sys_user", "user_name")}
MOST_ATTACHED = 1000
_ID = re.compile(r"[0-9a-f]{32}")
_COLUMN = re.compile(r"[a-z][a-z0-9_]{1,79}")
Value = Callable[[Mapping[str, Any], str], str]


def columns(wanted: Wanted) -> tuple[str, ...]:
    """The columns to look at before anything of this is written."""
    own = [name.removeprefix(FIELD) for name in wanted if name.startswith(FIELD)]
    return (*COLUMNS.values(), *(name for name in own if _COLUMN.fullmatch(name)))


def change(
    source: Source, record: Mapping[str, Any], *, order: Order, value: Value
) -> tuple[dict[str, object], placing.Choice]:
    """The columns to write and what they are in our words; a group or person that is unknown there is left."""
    found, unknown = _resolved(source, order.wanted)
    now = {name: value(record, column) for name, column in COLUMNS.items() if column in record}
    now |= {f"{FIELD}{name}": value(record, name) for name in record if name not in COLUMNS.values()}
    choice = placing.choose(source, order=replace(order, wanted=found), now=now, unset=UNSET)
    choice.left.update(unknown)
    written = {COLUMNS.get(name, name.removeprefix(FIELD)): told for name, told in choice.set.items()}
    return dict(written), choice


def _resolved(source: Source, wanted: Wanted) -> tuple[dict[str, str | list[str]], dict[str, str]]:
    """With sys_ids in the place of names: a reference takes nothing else reliably."""
    found, unknown = dict(wanted), {}
    for name, (table, column) in REFERENCES.items():
        told = found.get(name)
        if isinstance(told, str) and not _ID.fullmatch(told):
            sys_id = _only(source, table, column, told)
            if sys_id:
                found[name] = sys_id
            else:
                del found[name]
                unknown[name] = f"ServiceNow has no single active {name} called {told[:80]}"
    return found, unknown


def _only(source: Source, table: str, column: str, name: str) -> str:
    if "^" in name:  # it would begin another condition of the query
        return ""
    query = {"sysparm_query": f"{column}={name}^active=true", "sysparm_fields": "sys_id", "sysparm_limit": "2"}
    rows = rest.told(rest.call(source, "GET", f"/api/now/table/{table}", query=query).body).get("result")
    ids = [rest.text_of(row.get("sys_id")) for row in rows if isinstance(row, dict)] if isinstance(rows, list) else []
    return ids[0] if len(ids) == 1 and _ID.fullmatch(ids[0]) else ""


def add_attached(source: Source, records: Mapping[str, dict[str, Any]]) -> None:
    """Under `attached_article`, the number of the article that a person attached to each record last (m2m_kb_task).

    What our own user attached does not count. A user without the right to read that table goes without.
    """
    ids = sorted(name for name in records if _ID.fullmatch(name))
    own = str(source.settings.get("own_user") or "")
    if not ids:
        return
    query = {
        "sysparm_query": f"taskIN{','.join(ids)}^ORDERBYsys_created_on",
        "sysparm_fields": "task,kb_knowledge.number,sys_created_by",
        "sysparm_exclude_reference_link": "true",
        "sysparm_limit": str(MOST_ATTACHED),
    }
    try:
        rows = rest.told(rest.call(source, "GET", "/api/now/table/m2m_kb_task", query=query).body).get("result")
    except ExchangeFailed as error:
        if error.permanent:
            return
        raise
    for row in rows if isinstance(rows, list) else ():
        record = records.get(rest.text_of(row.get("task"))) if isinstance(row, dict) else None
        number = rest.text_of(row.get("kb_knowledge.number")) if record is not None else ""
        if record is not None and number and rest.text_of(row.get("sys_created_by")) != own:
            record["attached_article"] = {"value": number}
