"""The `servicenow` source: incidents, catalogue tasks and requested items of one ServiceNow instance.

Messages come from the Business Rule that we ship (docs/servicenow/business_rule.js): Standard Webhooks headers over
`{"record": {field: {"value", "display_value"}}}`, the form in which the Table API gives a record with
`sysparm_display_value=all`. A source's settings: `api_url`, `own_user` (user name), `our_groups`, `tables`,
`extra_fields` (such as `u_host`), `close_code`.
"""

import re
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

from triage.itsm import html_text, placing, rest, servicenow_placing, standard, strict_json, threads
from triage.itsm.base import Page, Parsed, PayloadInvalid, ReadFailed, ReplyFailed, Seen, is_settled, seen
from triage.itsm.outgoing import ExchangeFailed
from triage.models import Source

verify = standard.verify

TABLES = ("incident", "sc_task", "sc_req_item")
PAGE = 100
# out of the box: the choice lists of `state`; another number keeps the words of the instance
STATES: Mapping[str, Mapping[str, str]] = {
    "incident": {"1": "new", "2": "in progress", "3": "on hold", "6": "resolved", "7": "closed", "8": "canceled"},
    "": {"-5": "pending", "1": "open", "2": "in progress", "3": "completed", "4": "closed", "7": "closed"},
}
SOLVED = {"incident": "6", "": "3"}
FINISHED = frozenset({"3", "4", "6", "7", "8"})  # of any table: on hold costs a look, and is told apart later
CHANNELS = {"self-service": "portal", "service-portal": "portal", "email": "mail", "event": "monitoring"}
MACHINES = frozenset({"event", "monitoring", "alert"})
KINDS = {"incident": "incident", "sc_task": "task", "sc_req_item": "request"}
# who asks, most telling first: a person's mail address, else the name that they sign in with
REQUESTERS = tuple(
    f"{person}.{what}"
    for person in ("caller_id", "requested_for", "request_item.requested_for", "request.requested_for", "opened_by")
    for what in ("email", "user_name")
)
PLAIN = ("number", "category", "subcategory", "cmdb_ci", "location", "company", "assignment_group")
FIELDS = (
    *("sys_id", "sys_class_name", "short_description", "description", "state", "priority", "contact_type", "sla_due"),
    *("sys_created_on", "sys_updated_on", "sys_updated_by", "sys_mod_count", "sys_domain", *PLAIN, *REQUESTERS),
)
_ID = re.compile(r"[0-9a-f]{32}")
_TABLE = re.compile(r"[a-z][a-z0-9_]{1,79}")
_DATE = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}(?: [0-9:]{8})?")
_MARKUP = re.compile(r"\[(?=/?code\])", re.IGNORECASE)


def parse(*, body: bytes, content_type: str, at: datetime) -> Parsed:
    """The ticket of one message of the Business Rule; raises PayloadInvalid."""
    rest.single(content_type)
    value = strict_json.loads(body)
    record = value.get("record") if isinstance(value, dict) else None
    if not isinstance(record, dict):
        raise PayloadInvalid('the message has no "record"; install the Business Rule of the documentation as it is')
    return Parsed(tickets=((0, rest.ticket(record, converted, at=at)),))


def converted(record: Mapping[str, Any]) -> dict[str, object]:
    """A record, each field with its value and what people see of it, as a standard payload."""
    table = _value(record, "sys_class_name")
    state = _value(record, "state")
    contact = _value(record, "contact_type")
    subject, body = _value(record, "short_description"), html_text.plain(_value(record, "description"))
    states = STATES.get(table, STATES[""])
    fields = {name: _shown(record, name) for name in record if name in PLAIN or name.startswith("u_")}
    fields |= {"table": table, "domain": _shown(record, "sys_domain"), "updated_by": _value(record, "sys_updated_by")}
    asker = next((found for name in REQUESTERS if (found := _value(record, name))), "")
    return {
        "external_id": _value(record, "sys_id"),
        "subject": subject,
        "body": threads.first_message(body, subject=subject) if contact == "email" else body,
        "requester": rest.cut(asker, "requester"),
        "channel": rest.cut(CHANNELS.get(contact, contact), "channel"),
        "actor": "machine" if contact in MACHINES else "person",
        "kind": KINDS.get(table) or rest.cut(table, "kind"),
        "status": rest.cut(states.get(state) or _shown(record, "state"), "status"),
        "priority": rest.cut(_value(record, "priority"), "priority"),
        "due_at": _moment(_value(record, "sla_due")) or _moment(_value(record, "task_sla")),
        "created_at": _moment(_value(record, "sys_created_on")),
        "updated_at": _moment(_value(record, "sys_updated_on")),
        "sequence": rest.whole(_value(record, "sys_mod_count")),
        "fields": {name: text for name, text in fields.items() if text},
        "attached_article": rest.cut(_value(record, "attached_article"), "attached_article"),
    }


def read(source: Source, external_id: str) -> Seen | None:
    """The record as the Table API has it now; raises ReadFailed."""
    if not _ID.fullmatch(external_id):
        raise ReadFailed(f"ticket {external_id!r} is no sys_id; 32 hexadecimal digits name a record of ServiceNow")
    with rest.reading(external_id):
        _, record = _record(source, external_id, FIELDS)
        _add_due(source, [record])
        servicenow_placing.add_attached(source, {external_id: record})
        return seen(source, rest.ticket(record, converted, at=datetime.now(UTC)))


def pull(source: Source, *, since: datetime, cursor: str) -> Page:
    """Records changed at or after `since`, one table after the other, each oldest change first; raises PullFailed.

    The cursor is `table|moment|sys_id|offset|second when the pass began`. Where a full page changed within one second,
    the rest of that second is read by sys_id. So a record that changes meanwhile moves no other across a page's border,
    and what changed since the pass began is left to the next.
    """
    with rest.pulling():
        tables, at = _tables(source), datetime.now(UTC)
        table, moment, last, offset, began = (*(cursor or tables[0]).split("|"), "", "", "", "")[:5]
        until = rest.begun(began, at=at)
        if table not in tables:
            raise ExchangeFailed(f"the table {table!r} is no longer among the source's tables", permanent=False)
        moment = moment or since.astimezone(UTC).strftime("%Y-%m-%d %H:%M:%S")
        where = f"sys_updated_on={moment}^sys_id>{last}" if last else f"sys_updated_on>={moment}^ORDERBYsys_updated_on"
        query = {**_query(source, f"{where}^ORDERBYsys_id"), "sysparm_offset": offset or "0"}
        answer = rest.call(source, "GET", f"/api/now/table/{table}", query=query)
        records = _results(answer.body)
        # rows that we may not see count for the limit, so that a short page may have followers and an empty one too
        more = 'rel="next"' in answer.headers.get("link", "") or len(records) >= PAGE
        following = _following(
            records, more=more, table=table, moment=moment, last=last, offset=rest.whole(offset) or 0
        )
        _add_due(source, records)
        finished = {_value(r, "sys_id"): r for r in records if isinstance(r, dict) and _value(r, "state") in FINISHED}
        servicenow_placing.add_attached(source, finished)
        following = following or _after(table, tables)
        cursor = f"{following}|{until.timestamp():.0f}" if following else ""
        return rest.page(records, converted, at=at, until=until, raw=answer.body, cursor=cursor)


def reply(source: Source, *, external_id: str, key: str, what: str, content: Mapping[str, object]) -> str:
    """A work note (a comment where it is for the requester), and for `resolve` the state, in one PATCH, once for `key`.

    Our mark in the note tells a second try that the first arrived. Close code and notes that a person set stay.
    """
    if not _ID.fullmatch(external_id):
        raise ReplyFailed(f"ticket {external_id!r} is no sys_id, so ServiceNow cannot be told", permanent=True)
    mark = f"[Triage {rest.mark(key)}]"
    with rest.replying():
        wanted = ("sys_class_name", "state", "close_code", "close_notes", "work_notes", "comments")
        table, record = _record(source, external_id, wanted)
        if mark in _shown(record, "work_notes") + _shown(record, "comments"):
            return "ServiceNow has it already."
        text = _MARKUP.sub("[ ", str(content.get("text") or ""))
        journal = "comments" if content.get("public") is True else "work_notes"
        change: dict[str, object] = {journal: f"{text}\n{mark}"}
        states = STATES.get(table, STATES[""])
        settled = is_settled(source, states.get(_value(record, "state")) or _shown(record, "state"))
        if what == "resolve" and not settled:
            change |= _solution(source, record, table=table, text=text)
        rest.call(
            source, "PATCH", f"/api/now/table/{table}/{external_id}", query={"sysparm_fields": "sys_id"}, send=change
        )
    return "Told ServiceNow." if what != "resolve" or not settled else "Told ServiceNow; it was finished there before."


def place(source: Source, *, external_id: str, order: placing.Order) -> placing.Placed:
    """Assignment group, assignee, category, subcategory and own columns, each only where no person set it."""
    if not _ID.fullmatch(external_id):
        raise ReplyFailed(f"ticket {external_id!r} is no sys_id, so ServiceNow cannot be told", permanent=True)
    with rest.replying():
        table, record = _record(
            source, external_id, ("sys_class_name", "state", *servicenow_placing.columns(order.wanted))
        )
        states = STATES.get(table, STATES[""])
        if is_settled(source, states.get(_value(record, "state")) or _shown(record, "state")):
            return placing.finished(order)
        change, choice = servicenow_placing.change(source, record, order=order, value=_value)
        if not change:
            return placing.Placed(left=choice.left)
        query = {"sysparm_display_value": "all", "sysparm_fields": ",".join(change)}
        path = f"/api/now/table/{table}/{external_id}"
        after = rest.told(rest.call(source, "PATCH", path, query=query, send=change).body).get("result")
        told = after if isinstance(after, dict) else {}
        echo = {name: _shown(told, name) for name in change if name in PLAIN or name.startswith("u_")}
        return placing.Placed(choice.set, choice.left, {name: text for name, text in echo.items() if text})


def _solution(source: Source, record: Mapping[str, Any], *, table: str, text: str) -> dict[str, object]:
    """What finishes a record; incidents need a close code and notes, which a person may have written before."""
    change: dict[str, object] = {"state": SOLVED.get(table, SOLVED[""])}
    if not _value(record, "close_notes"):
        change["close_notes"] = text
    if table == "incident" and not _value(record, "close_code"):
        change["close_code"] = str(source.settings.get("close_code") or "Solution provided")
    return change


def _record(source: Source, external_id: str, fields: tuple[str, ...]) -> tuple[str, dict[str, Any]]:
    """The table that holds the record, and the record; a sys_id alone does not tell the table."""
    tables = _tables(source)
    for table in tables:
        try:
            query = {"sysparm_display_value": "all", "sysparm_fields": ",".join((*fields, *_extra(source)))}
            raw = rest.call(source, "GET", f"/api/now/table/{table}/{external_id}", query=query).body
        except ExchangeFailed as error:
            if error.status != rest.NOT_FOUND or table == tables[-1]:
                raise
            continue
        result = rest.told(raw).get("result")
        if not isinstance(result, dict):
            raise ExchangeFailed("the Table API answered without a result", permanent=False)
        return table, result
    raise ExchangeFailed("the source has no tables in its settings", permanent=True)


def _query(source: Source, where: str) -> dict[str, str]:
    return {
        "sysparm_query": where,
        "sysparm_display_value": "all",
        "sysparm_exclude_reference_link": "true",
        "sysparm_fields": ",".join((*FIELDS, *_extra(source))),
        "sysparm_limit": str(PAGE),
    }


def _results(raw: bytes) -> list[Any]:
    result = rest.told(raw).get("result")
    if not isinstance(result, list):
        raise ExchangeFailed("the Table API answered without a list of results", permanent=False)
    return result


def _following(records: list[Any], *, more: bool, table: str, moment: str, last: str, offset: int) -> str:
    """Where the table's next page begins, empty after its last one."""
    if more and not (records and isinstance(records[-1], dict)):
        return f"{table}|{moment}|{last}|{offset + PAGE}"
    if more:
        newest, name = _value(records[-1], "sys_updated_on"), _value(records[-1], "sys_id")
        return f"{table}|{newest}||" if newest > moment and not last else f"{table}|{moment}|{name}|"
    if not last:
        return ""
    second = datetime.strptime(moment, "%Y-%m-%d %H:%M:%S") + timedelta(seconds=1)  # noqa: DTZ007 - UTC on both sides
    return f"{table}|{second:%Y-%m-%d %H:%M:%S}||"


def _after(table: str, tables: tuple[str, ...]) -> str:
    return "".join(f"{name}|||" for name in tables[tables.index(table) + 1 :][:1])


def _tables(source: Source) -> tuple[str, ...]:
    named = source.settings.get("tables")
    found = tuple(str(name) for name in named) if isinstance(named, list) and named else TABLES
    if not all(_TABLE.fullmatch(name) for name in found):
        raise ExchangeFailed("tables in the source's settings must be names like incident or sc_task", permanent=True)
    return found


def _extra(source: Source) -> tuple[str, ...]:
    named = source.settings.get("extra_fields")
    return tuple(str(name) for name in named if _TABLE.fullmatch(str(name))) if isinstance(named, list) else ()


def _add_due(source: Source, records: list[Any]) -> None:
    """When the running SLAs of these records end, where the records themselves do not say; read, never computed.

    An integration user without the right to read `task_sla` goes without.
    """
    open_ended = {_value(r, "sys_id"): r for r in records if isinstance(r, dict) and not _moment(_value(r, "sla_due"))}
    ids = sorted(name for name in open_ended if _ID.fullmatch(name))
    if not ids:
        return
    query = {
        "sysparm_query": f"taskIN{','.join(ids)}^active=true^stage=in_progress^ORDERBYDESCplanned_end_time",
        "sysparm_fields": "task,planned_end_time",
        "sysparm_exclude_reference_link": "true",
        "sysparm_limit": str(10 * PAGE),
    }
    try:
        running = _results(rest.call(source, "GET", "/api/now/table/task_sla", query=query).body)
    except ExchangeFailed as error:
        if error.permanent:
            return
        raise
    for sla in running:  # the earliest end comes last
        if isinstance(sla, dict) and (record := open_ended.get(rest.text_of(sla.get("task")))) is not None:
            record["task_sla"] = {"value": rest.text_of(sla.get("planned_end_time"))}


def _value(record: Mapping[str, Any], name: str) -> str:
    """The value in the database, in UTC where it is a moment."""
    found = record.get(name)
    return rest.text_of(found.get("value") if isinstance(found, dict) else found).strip()


def _shown(record: Mapping[str, Any], name: str) -> str:
    """What people see of a field; of a date the value, since what people see depends on their time zone."""
    found = record.get(name)
    shown = rest.text_of(found.get("display_value")) if isinstance(found, dict) else ""
    value = _value(record, name)
    return value if _DATE.fullmatch(value) else (shown or value)


def _moment(text: str) -> str | None:
    """`2026-11-20 09:30:00`, which is UTC, as ISO 8601; None for the words that stand for no moment."""
    return f"{text.replace(' ', 'T')}Z" if _DATE.fullmatch(text) and len(text) > 10 else None
