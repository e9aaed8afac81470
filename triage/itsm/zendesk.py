"""The `zendesk` source: tickets of one Zendesk account.

Messages are ticket events (`zen:event-type:ticket.*`) of a webhook that is signed with HMAC-SHA256 over time stamp and
body. They name people and organisations by number only, so a ticket's requester comes with the next pull. A source's
settings: `api_url` (`https://acme.zendesk.com`), `own_user` (the number of our user), `our_groups` (numbers of groups).
Formats: developer.zendesk.com, "Verifying webhooks", "Ticket events", "Incremental Exports", "Tickets".
"""

import base64
import hashlib
import hmac
import re
import time
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from triage.itsm import html_text, placing, rest, strict_json, threads, zendesk_placing
from triage.itsm.base import Page, Parsed, PayloadInvalid, ReadFailed, ReplyFailed, Seen, SignatureInvalid, seen
from triage.itsm.outgoing import ExchangeFailed
from triage.models import Source

SIGNATURE = "x-zendesk-webhook-signature"
TIME = "x-zendesk-webhook-signature-timestamp"
TOLERANCE = 300.0
# every new webhook is tested with this one before it has its own; anybody can sign with it
PUBLIC_SECRET = "dGhpc19zZWNyZXRfaXNfZm9yX3Rlc3Rpbmdfb25seQ=="  # noqa: S105 - public, and refused
PAGE = 50
BETWEEN_PAGES = 6.0  # the export allows ten requests a minute
OLDEST_START = 60.0  # and nothing of the last minute
CHANNELS = {"email": "mail", "mail": "mail", "voice": "phone", "web_service": "api", "api": "api"}
GONE = frozenset({"deleted", "closed"})
SETTLED = frozenset({"solved", "closed"})

_MOMENT = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}(?:\.[0-9]{1,9})?Z")
_EVENT = "zen:event-type:ticket."
_ID = re.compile(r"[1-9][0-9]{0,18}")
_CURSOR = re.compile(r"[\x21-\x7e]{1,2000}")


def signature(secret: str, *, timestamp: str, body: bytes) -> str:
    """Base64 of HMAC-SHA256 over the time stamp followed by the body, with the secret's text as the key."""
    signed = hmac.new(secret.encode(), timestamp.encode() + body, hashlib.sha256)
    return base64.b64encode(signed.digest()).decode()


def verify(*, source: Source, headers: Mapping[str, str], body: bytes) -> str:
    """The body's hash as the message's key, once one of the source's secrets has signed it within five minutes of now.

    An event has an id of its own in its body, which is signed; the id of the invocation, in a header, is not.
    """
    if missing := [name for name in (SIGNATURE, TIME) if not headers.get(name)]:
        raise SignatureInvalid(f"the header {missing[0]} is missing; send by a Zendesk webhook, which signs by itself")
    stamp = headers[TIME]
    if not _MOMENT.fullmatch(stamp):
        raise SignatureInvalid(f"{TIME} must be a moment such as 2026-11-20T09:30:00Z")
    try:
        age = time.time() - datetime.fromisoformat(stamp).timestamp()
    except ValueError:
        raise SignatureInvalid(f"{TIME} is no moment of the calendar") from None
    if abs(age) > TOLERANCE:
        raise SignatureInvalid(f"signed {age:.0f} s ago, more than {TOLERANCE:.0f} s; check the clock of this machine")
    given = headers[SIGNATURE].encode("utf-8", "replace")
    known = [secret for secret in source.signing_secrets() if secret != PUBLIC_SECRET]
    if any(hmac.compare_digest(signature(s, timestamp=stamp, body=body).encode(), given) for s in known):
        return f"zendesk_{hashlib.sha256(body).hexdigest()}"
    if hmac.compare_digest(signature(PUBLIC_SECRET, timestamp=stamp, body=body).encode(), given):
        raise SignatureInvalid("signed with Zendesk's public test secret; create the webhook first, then test it")
    raise SignatureInvalid("no secret of this source made this signature; copy the webhook's signing secret here")


def parse(*, body: bytes, content_type: str, at: datetime) -> Parsed:
    """The ticket of one event; raises PayloadInvalid."""
    rest.single(content_type)
    value = strict_json.loads(body)
    kind = value.get("type") if isinstance(value, dict) else None
    if not isinstance(value, dict) or not isinstance(kind, str) or not kind.startswith(_EVENT):
        raise PayloadInvalid("this is no ticket event; subscribe the webhook to ticket events only")
    detail = value.get("detail")
    if not isinstance(detail, dict):
        raise PayloadInvalid("the event has no detail; subscribe the webhook to ticket events")
    event = {**detail, "updated_at": detail.get("updated_at") or value.get("time")}
    return Parsed(tickets=((0, rest.hint(rest.ticket(event, converted, at=at))),))


def converted(record: Mapping[str, Any]) -> dict[str, object]:
    """A ticket of an event or of the API as a standard payload; what the event does not say is not stated."""
    status = rest.text_of(record.get("status")).lower()
    via = record.get("via")
    channel = rest.text_of(via.get("channel")).lower() if isinstance(via, dict) else ""
    kept: dict[str, object] = {
        "external_id": rest.text_of(record.get("id")),
        "status": rest.cut("closed" if status in GONE else status, "status"),
        "updated_at": rest.text_of(record.get("updated_at")) or None,
        "created_at": rest.text_of(record.get("created_at")) or None,
    }
    if status == "deleted":
        return kept  # its text is scrubbed
    subject = rest.text_of(record.get("subject"))
    return kept | {
        "subject": subject if "subject" in record else None,
        "body": _body(record, subject) if "description" in record else None,
        "requester": rest.cut(record.get("requester_email"), "requester"),
        "channel": rest.cut(CHANNELS.get(channel, channel), "channel"),
        "kind": rest.cut(_kind(record), "kind"),
        "priority": rest.cut(rest.text_of(record.get("priority")).lower(), "priority"),
        "due_at": _due(record),
        "fields": _fields(record),
        "attached_article": rest.cut(record.get("attached_article"), "attached_article"),
    }


def _body(record: Mapping[str, Any], subject: str) -> str:
    return threads.first_message(html_text.plain(rest.text_of(record.get("description"))), subject=subject)


def _kind(record: Mapping[str, Any]) -> str:
    """`incident`, `question`, `problem` or `task`; events may say `ticket` for a ticket without a type."""
    kind = rest.text_of(record.get("type")).lower()
    return "" if kind == "ticket" else kind


def _fields(record: Mapping[str, Any]) -> dict[str, str]:
    names = {"organisation": "organization_id", "assignment_group": "group_id", "updated_by": "actor_id"}
    found = {
        name: zendesk_placing.number(record.get(key)) for name, key in {**names, "requester_id": "requester_id"}.items()
    }
    custom = record.get("custom_fields")
    for item in custom if isinstance(custom, list) else ():
        if isinstance(item, dict):
            found[f"field_{rest.text_of(item.get('id'))[:30]}"] = rest.text_of(item.get("value"))
    return {name: text for name, text in found.items() if text}


def _due(record: Mapping[str, Any]) -> str | None:
    """The due date of a task, else when the first running SLA would be broken; read, never computed."""
    slas = record.get("slas")
    metrics = slas.get("policy_metrics") if isinstance(slas, dict) else None
    running = [item for item in metrics or () if isinstance(item, dict) and item.get("stage") == "active"]
    ends = sorted(filter(_MOMENT.fullmatch, (rest.text_of(item.get("breach_at")) for item in running)))
    return rest.text_of(record.get("due_at")) or next(iter(ends), None)


def read(source: Source, external_id: str) -> Seen | None:
    """The ticket and its requester as they are now; raises ReadFailed."""
    if not _ID.fullmatch(external_id):
        raise ReadFailed(f"ticket {external_id!r} is no number of a Zendesk ticket")
    with rest.reading(external_id):
        told = rest.told(
            rest.call(source, "GET", f"/api/v2/tickets/{external_id}.json", query={"include": "users,slas"}).body
        )
        zendesk_placing.add_attached(source, [told.get("ticket")])
        return seen(source, rest.ticket(_with_people([told.get("ticket")], told)[0], converted, at=datetime.now(UTC)))


def pull(source: Source, *, since: datetime, cursor: str) -> Page:
    """Tickets changed at or after `since` by the incremental export, oldest change first; raises PullFailed.

    The export leaves out what changed within the last minute, and allows ten requests a minute.
    """
    start = min(since.timestamp(), time.time() - OLDEST_START - 1)
    query = {"cursor": cursor} if cursor else {"start_time": str(int(start))}
    with rest.pulling():
        path = "/api/v2/incremental/tickets/cursor.json"
        raw = rest.call(source, "GET", path, query={**query, "per_page": str(PAGE), "include": "users,slas"}).body
        told = rest.told(raw)
        tickets, after = told.get("tickets"), told.get("after_cursor")
        if not isinstance(tickets, list):
            raise ExchangeFailed("the incremental export answered without tickets", permanent=False)
        following = "" if told.get("end_of_stream") or not after else str(after)
        if following and not _CURSOR.fullmatch(following):
            raise ExchangeFailed("the incremental export answered with an unusable after_cursor", permanent=False)
        zendesk_placing.add_attached(source, [ticket for ticket in tickets if _is_settled(ticket)])
        records = _with_people(tickets, told)
        pause = BETWEEN_PAGES if following else 0.0
        return rest.page(records, converted, at=datetime.now(UTC), raw=raw, cursor=following, pause=pause)


def _is_settled(ticket: object) -> bool:
    return isinstance(ticket, dict) and rest.text_of(ticket.get("status")).lower() in SETTLED


def _with_people(tickets: list[Any], told: Mapping[str, Any]) -> list[Any]:
    """The tickets with their requesters' mail addresses, which the answer lists beside them."""
    users = told.get("users")
    mails = {
        rest.text_of(user.get("id")): user.get("email")
        for user in (users if isinstance(users, list) else ())
        if isinstance(user, dict)
    }
    return [
        {**ticket, "requester_email": mails.get(rest.text_of(ticket.get("requester_id")))}
        if isinstance(ticket, dict)
        else ticket
        for ticket in tickets
    ]


def reply(source: Source, *, external_id: str, key: str, what: str, content: Mapping[str, object]) -> str:
    """A private comment (a public one where it is for the requester), and `solved` for `resolve`, once for `key`.

    Comment, status and a tag that names the message go in one update, which Zendesk refuses (409) when the ticket has
    changed since it was read: so nothing that a person does meanwhile is lost, and a second try finds the tag.
    """
    if not _ID.fullmatch(external_id):
        raise ReplyFailed(f"ticket {external_id!r} is no number of a Zendesk ticket", permanent=True)
    path, tag = f"/api/v2/tickets/{external_id}.json", f"triage_{rest.mark(key)}"
    with rest.replying():
        ticket = _tagged(source, path)
        if tag in ticket["tags"]:
            return "Zendesk has it already."
        status = rest.text_of(ticket.get("status")).lower()
        if status in GONE:
            return f"Recorded here only: Zendesk takes nothing more for a ticket that is {status}."
        change: dict[str, object] = {
            "comment": {"body": str(content.get("text") or ""), "public": content.get("public") is True},
            "tags": [*ticket["tags"], tag],
            "safe_update": True,
            "updated_stamp": ticket.get("updated_at"),
        }
        solves = what == "resolve" and status != "solved"
        rest.call(source, "PUT", path, send={"ticket": change | ({"status": "solved"} if solves else {})})
    return "Told Zendesk; it was solved there before." if what == "resolve" and not solves else "Told Zendesk."


def place(source: Source, *, external_id: str, order: placing.Order) -> placing.Placed:
    """Group, assignee, tags (`labels`) and custom fields, in one safe update of what was just read."""
    if not _ID.fullmatch(external_id):
        raise ReplyFailed(f"ticket {external_id!r} is no number of a Zendesk ticket", permanent=True)
    path = f"/api/v2/tickets/{external_id}.json"
    with rest.replying():
        ticket = _tagged(source, path)
        if rest.text_of(ticket.get("status")).lower() in {*GONE, *SETTLED}:
            return placing.finished(order)
        return zendesk_placing.place(source, path, ticket, order=order)


def _tagged(source: Source, path: str) -> dict[str, Any]:
    """The ticket with its tags as it is now."""
    ticket = rest.told(rest.call(source, "GET", path).body).get("ticket")
    if not isinstance(ticket, dict) or not isinstance(ticket.get("tags"), list):
        raise ExchangeFailed("Zendesk answered without the ticket and its tags", permanent=False)
    return ticket
