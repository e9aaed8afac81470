"""The `freshservice` source: tickets of one Freshservice account.

Freshservice signs nothing: a workflow sends a secret in the header `X-Triage-Secret`, which only TLS protects. Its
messages hint at a change; what `pull` and `read` tell is the whole ticket. A source's settings: `api_url`
(`https://acme.freshservice.com`), `own_user` (mail address of our agent), `our_groups` (numbers of groups),
`workspace_id` (all workspaces unless told), `resolve_fields` (what a ticket must have to be resolved).
Formats: api.freshservice.com (v2), "Workflow Automator: Trigger webhook".
"""

import hashlib
import hmac
import html
import re
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

from triage.itsm import freshservice_placing, html_text, placing, rest, strict_json, threads
from triage.itsm.base import Page, Parsed, PayloadInvalid, ReadFailed, ReplyFailed, Seen, SignatureInvalid, seen
from triage.itsm.outgoing import ExchangeFailed
from triage.models import Source

SECRET = "x-triage-secret"  # noqa: S105 - the name of the header, not what stands in it
SHORTEST_SECRET = 20
PAGE = 100
MOST_CONVERSATIONS = 20 * PAGE
LOW, REFILL = 10, 60.0  # calls left in the account's minute below which we leave the rest to others
STATES = {"2": "open", "3": "pending", "4": "resolved", "5": "closed"}
PRIORITIES = {"1": "low", "2": "medium", "3": "high", "4": "urgent"}
CHANNELS = {
    "1": "mail",
    "email": "mail",
    "2": "portal",
    "portal": "portal",
    "3": "phone",
    "phone": "phone",
    "4": "chat",
}
SETTLED = frozenset({"resolved", "closed"})
RESOLVED = 4
# a message without a usable moment counts as older than it is, so that the next pull is never taken for an old state
HINT_AGE = timedelta(minutes=10)

_ID = re.compile(r"[1-9][0-9]{0,18}")
_SHOWN_ID = re.compile(r"(?:#?[A-Z]{1,10}-)?([1-9][0-9]{0,18})")
_PAGE = re.compile(r"[1-9][0-9]{0,4}")
_MOMENT = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}(?:\.[0-9]+)?(?:Z|[+-][0-9]{2}:?[0-9]{2})")


def verify(*, source: Source, headers: Mapping[str, str], body: bytes) -> str:
    """The hash of the body as the message's key, once the header holds one of the source's secrets."""
    given = headers.get(SECRET, "")
    if not given:
        raise SignatureInvalid("the header X-Triage-Secret is missing; set it in the workflow's webhook")
    known = [secret for secret in source.signing_secrets() if len(secret) >= SHORTEST_SECRET]
    if not known:
        raise SignatureInvalid(f"this source has no secret of at least {SHORTEST_SECRET} characters; set one")
    # hashed first: the comparison takes as long for every length
    digest = hashlib.sha256(given.encode("utf-8", "replace")).digest()
    if not any(hmac.compare_digest(hashlib.sha256(secret.encode()).digest(), digest) for secret in known):
        raise SignatureInvalid("X-Triage-Secret is none of this source's secrets; compare both sides")
    return f"freshservice_{hashlib.sha256(body).hexdigest()}"


def parse(*, body: bytes, content_type: str, at: datetime) -> Parsed:
    """The ticket of a workflow's message, written as documented or by its simple editor; raises PayloadInvalid."""
    rest.single(content_type)
    value = strict_json.loads(body)
    wrapped = (
        next((value[name] for name in ("ticket", "freshdesk_webhook") if name in value), value)
        if isinstance(value, dict)
        else None
    )
    if not isinstance(wrapped, dict):
        raise PayloadInvalid('the message has no "ticket"; copy the webhook\'s content from the documentation')
    record = {str(name).removeprefix("ticket_"): item for name, item in wrapped.items()}
    shown = _SHOWN_ID.fullmatch(rest.text_of(record.get("id_numeric") or record.get("id")).strip())
    if shown is None:
        raise PayloadInvalid("the ticket has no number; send {{ticket.id_numeric}} as id")
    if not _MOMENT.fullmatch(rest.text_of(record.get("updated_at"))):
        record["updated_at"] = (at - HINT_AGE).isoformat()
    return Parsed(tickets=((0, rest.hint(rest.ticket({**record, "id": shown[1]}, converted, at=at))),))


def converted(record: Mapping[str, Any]) -> dict[str, object]:
    """A ticket of a message or of the API as a standard payload; what is not told is not stated."""
    status = _word(STATES, record.get("status"))
    kept: dict[str, object] = {
        "external_id": rest.text_of(record.get("id")),
        "status": rest.cut(status, "status"),
        "updated_at": rest.text_of(record.get("updated_at")) or None,
        "created_at": _moment(record.get("created_at")),
    }
    if record.get("deleted") is True or record.get("spam") is True:
        return kept | {"status": "closed"}
    subject = rest.text_of(record.get("subject"))
    channel = rest.text_of(record.get("source")).lower()
    return kept | {
        "subject": subject if "subject" in record else None,
        "body": _body(record, subject=subject),
        "requester": rest.cut(_inside(record, "requester", "email"), "requester"),
        "channel": rest.cut(CHANNELS.get(channel, channel), "channel"),
        "kind": rest.cut(rest.text_of(record.get("type")).lower(), "kind"),
        "priority": rest.cut(_word(PRIORITIES, record.get("priority")), "priority"),
        "due_at": _moment(record.get("due_by")),
        "fields": _fields(record),
        "attached_article": rest.cut(record.get("attached_article"), "attached_article"),
    }


def _fields(record: Mapping[str, Any]) -> dict[str, str]:
    found = {
        "organisation": _inside(record, "department", "name"),
        "project": rest.text_of(record.get("workspace_id")),
        "assignment_group": rest.text_of(record.get("group_id")),
        "category": rest.text_of(record.get("category")),
        "sub_category": rest.text_of(record.get("sub_category")),
        "updated_by": rest.text_of(record.get("updated_by")),
    }
    custom = record.get("custom_fields")
    for name, value in custom.items() if isinstance(custom, dict) else ():
        found[f"custom_{name}"] = rest.text_of(value)
    return {name: text for name, text in found.items() if text}


def _body(record: Mapping[str, Any], *, subject: str) -> str | None:
    """Always from the HTML, which messages and API give alike; None where neither form of the text is told."""
    if "description" in record:
        text = html_text.plain(rest.text_of(record["description"]))
    elif "description_text" in record:
        text = rest.text_of(record["description_text"])
    else:
        return None
    return threads.first_message(text, subject=subject)


def _word(words: Mapping[str, str], value: object) -> str:
    """The API writes numbers, messages the words; an account's own ones stay as they are."""
    text = rest.text_of(value).strip().lower()
    return words.get(text, text)


def _inside(record: Mapping[str, Any], name: str, part: str) -> str:
    """`record[name][part]` of the API, or `record[name_part]` of a message."""
    found = record.get(name)
    return rest.text_of(found.get(part) if isinstance(found, dict) else record.get(f"{name}_{part}"))


def _moment(value: object) -> str | None:
    """A moment with its time zone; None for what a message writes in an account's own form."""
    text = rest.text_of(value)
    return text if _MOMENT.fullmatch(text) else None


def read(source: Source, external_id: str) -> Seen | None:
    """The ticket as it is now, requester and department included; raises ReadFailed."""
    if not _ID.fullmatch(external_id):
        raise ReadFailed(f"ticket {external_id!r} is no number of a Freshservice ticket")
    with rest.reading(external_id):
        record = freshservice_placing.with_article(source, _ticket(source, external_id))
        return seen(source, rest.ticket(record, converted, at=datetime.now(UTC)))


def _ticket(source: Source, external_id: str) -> dict[str, Any]:
    query = {"include": "requester,department"}
    found = rest.told(rest.call(source, "GET", f"/api/v2/tickets/{external_id}", query=query).body).get("ticket")
    if not isinstance(found, dict):
        raise ExchangeFailed("Freshservice answered without the ticket", permanent=False)
    return found


def pull(source: Source, *, since: datetime, cursor: str) -> Page:
    """Tickets changed at or after `since`, oldest ticket first; raises PullFailed.

    Freshservice sorts by creation only. A ticket that changes meanwhile joins the list and moves none off it, and
    what changed since the pass began is left to the next. The cursor is `page|second when the pass began`.
    """
    at = datetime.now(UTC)
    number, began = (*cursor.split("|"), "")[:2]
    number = number if _PAGE.fullmatch(number) else "1"
    until = rest.begun(began, at=at)
    query = {
        "updated_since": since.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
        "order_type": "asc",
        "include": "requester,department",
        "workspace_id": str(source.settings.get("workspace_id") or 0),
        "per_page": str(PAGE),
        "page": number,
    }
    with rest.pulling():
        answer = rest.call(source, "GET", "/api/v2/tickets", query=query)
        tickets = rest.told(answer.body).get("tickets")
        if not isinstance(tickets, list):
            raise ExchangeFailed("Freshservice answered without tickets", permanent=False)
        more = 'rel="next"' in answer.headers.get("link", "")
        records = [_whole(source, ticket) for ticket in tickets]
        records = [freshservice_placing.with_article(source, one) if _settled(one) else one for one in records]
        following = f"{int(number) + 1}|{until.timestamp():.0f}" if more else ""
        pause = _pause(answer.headers) if more else 0.0
        raw = answer.body
        return rest.page(records, converted, at=at, until=until, raw=raw, cursor=following, pause=pause)


def _whole(source: Source, ticket: object) -> object:
    """The ticket with its text: a list may leave it out."""
    if not isinstance(ticket, dict) or {"description", "description_text"} & ticket.keys():
        return ticket
    number = rest.text_of(ticket.get("id"))
    try:
        return _ticket(source, number) if _ID.fullmatch(number) else ticket
    except ExchangeFailed as error:
        if error.status != rest.NOT_FOUND:
            raise
        return ticket  # deleted since it was listed


def _settled(ticket: object) -> bool:
    return isinstance(ticket, dict) and _word(STATES, ticket.get("status")) in SETTLED


def _pause(headers: Mapping[str, str]) -> float:
    """Seconds to leave the account's other programs their share of the limit, which is one for all of them."""
    left, used = (rest.whole(headers.get(f"x-ratelimit-{name}")) for name in ("remaining", "used-currentrequest"))
    return REFILL if left is not None and left < LOW + (used or 1) else 0.0


def reply(source: Source, *, external_id: str, key: str, what: str, content: Mapping[str, object]) -> str:
    """A private note (a public one where it is for the requester), then for `resolve` the status, once for `key`.

    Our mark in the note tells a second try that the first arrived. Fields that somebody filled stay as they are.
    """
    if not _ID.fullmatch(external_id):
        raise ReplyFailed(f"ticket {external_id!r} is no number of a Freshservice ticket", permanent=True)
    mark = f"[Triage {rest.mark(key)}]"
    path = f"/api/v2/tickets/{external_id}"
    with rest.replying():
        ticket = _ticket(source, external_id)
        known = _has_note(source, path, mark)
        if not known:
            text = html.escape(str(content.get("text") or ""), quote=False).replace("\n", "<br>")
            note = {"body": f"<div>{text}<br>{mark}</div>", "private": content.get("public") is not True}
            rest.call(source, "POST", f"{path}/notes", send=note)
        settled = _settled(ticket)
        if what == "resolve" and not settled:
            rest.call(source, "PUT", path, send={**_missing(source, ticket), "status": RESOLVED})
            return "Told Freshservice."
    if known:
        return "Freshservice has it already."
    return "Told Freshservice; it was finished there before." if what == "resolve" else "Told Freshservice."


def place(source: Source, *, external_id: str, order: placing.Order) -> placing.Placed:
    """Group, agent, category, sub-category and custom fields, each only where nobody filled it."""
    if not _ID.fullmatch(external_id):
        raise ReplyFailed(f"ticket {external_id!r} is no number of a Freshservice ticket", permanent=True)
    with rest.replying():
        ticket = _ticket(source, external_id)
        if _settled(ticket):
            return placing.finished(order)
        return freshservice_placing.place(source, f"/api/v2/tickets/{external_id}", ticket, order=order)


def _missing(source: Source, ticket: Mapping[str, Any]) -> dict[str, object]:
    """Of what the account wants before a ticket is resolved, the fields that nobody has filled."""
    wanted = source.settings.get("resolve_fields")
    return {name: value for name, value in wanted.items() if not ticket.get(name)} if isinstance(wanted, dict) else {}


def _has_note(source: Source, path: str, mark: str) -> bool:
    for page in range(1, MOST_CONVERSATIONS // PAGE + 1):
        answer = rest.call(source, "GET", f"{path}/conversations", query={"per_page": str(PAGE), "page": str(page)})
        if mark.encode() in answer.body:
            return True
        if 'rel="next"' not in answer.headers.get("link", ""):
            return False
    return False
