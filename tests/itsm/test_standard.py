"""Standard Webhooks: what is let in and what is not, and what one payload says."""

import base64
import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from tests import factories
from tests.itsm.fakes.server import Asked, Desk, Told, serving
from triage.itsm import PayloadInvalid, PayloadTooLarge, SignatureInvalid, standard
from triage.itsm.base import IncomingTicket
from triage.itsm.placing import Order
from triage.models import Source

AT = datetime(2026, 11, 20, 9, 30, tzinfo=UTC)
WHOLE: dict[str, Any] = {
    "external_id": "INC0010023",
    "subject": "Account locked",
    "body": "I cannot sign in.",
    "requester": "ada@example.org",
    "channel": "portal",
    "actor": "person",
    "language": "en",
    "kind": "incident",
    "status": "new",
    "priority": 3,
    "due_at": "2026-11-21T09:30:00+01:00",
    "created_at": "2026-11-20T09:00:00Z",
    "updated_at": "2026-11-20T09:29:00Z",
    "sequence": 4,
    "attachments": [{"name": "screen.png", "type": "image/png"}],
    "fields": {"host": "web01", "assignment_group": "Service Desk", "company": "ACME", "cost": 1.5, "old": None},
}


def source(*secrets: str) -> Source:
    return Source(slug="s", secrets="\n".join(secrets))


def one(body: bytes | str) -> IncomingTicket:
    raw = body.encode() if isinstance(body, str) else body
    ((line, ticket),) = standard.parse(body=raw, content_type="application/json", at=AT).tickets
    assert line == 0
    return ticket


def refusal(**changed: Any) -> str:
    with pytest.raises(PayloadInvalid) as caught:
        one(json.dumps({**WHOLE, **changed}))
    return str(caught.value)


def test_the_published_vector_of_standard_webhooks_is_signed_as_published() -> None:
    headers = standard.signed_headers(
        "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw",
        key="msg_p5jXN8AQM9LWM0D4loKWxJek",
        body=b'{"test": 2432232314}',
        at=datetime.fromtimestamp(1614265330, UTC),
    )
    assert headers["webhook-signature"] == "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="


def test_any_secret_of_the_source_signs_so_that_secrets_can_be_rotated() -> None:
    old, new = standard.new_secret(), standard.new_secret()
    assert len(base64.b64decode(old.removeprefix("whsec_"))) == 32
    for secret in (old, new):
        headers = standard.signed_headers(secret, key="msg_1", body=b"{}", at=datetime.now(UTC))
        assert standard.verify(source=source(new, old), headers=headers, body=b"{}") == "msg_1"
    with pytest.raises(SignatureInvalid):
        standard.verify(
            source=source(new),
            headers=standard.signed_headers(old, key="msg_1", body=b"{}", at=datetime.now(UTC)),
            body=b"{}",
        )


@pytest.mark.parametrize(
    "changed",
    [
        {"webhook-id": ""},
        {"webhook-id": "msg.2"},
        {"webhook-id": "x" * 201},
        {"webhook-id": "msg_2"},
        {"webhook-timestamp": "soon"},
        {"webhook-timestamp": "nan"},
        {"webhook-timestamp": "1e9"},
        {"webhook-timestamp": "9" * 12},
        {"webhook-timestamp": "9" * 400},
        {"webhook-signature": ""},
        {"webhook-signature": "v1"},
        {"webhook-signature": "v1,"},
        {"webhook-signature": "v1,=,="},
        {"webhook-signature": "v1,%%%"},
        {"webhook-signature": "v1,\xe9"},
        {"webhook-signature": "v1,a b,c"},
        {"webhook-signature": "v1a,AAAA"},
        {"webhook-signature": "v1,AAAA v1,BBBB"},
    ],
)
def test_malformed_headers_are_no_signature_and_nothing_worse(changed: dict[str, str]) -> None:
    headers = standard.signed_headers(factories.SECRET, key="msg_1", body=b"{}", at=datetime.now(UTC))
    with pytest.raises(SignatureInvalid):
        standard.verify(source=source(factories.SECRET), headers={**headers, **changed}, body=b"{}")


@pytest.mark.parametrize("seconds", [-301, 302])
def test_a_message_signed_more_than_five_minutes_from_now_is_refused(seconds: int) -> None:
    at = datetime.now(UTC) + timedelta(seconds=seconds)
    headers = standard.signed_headers(factories.SECRET, key="msg_1", body=b"{}", at=at)
    with pytest.raises(SignatureInvalid, match="timestamp"):
        standard.verify(source=source(factories.SECRET), headers=headers, body=b"{}")


def test_a_signature_holds_for_its_own_bytes_only() -> None:
    headers = standard.signed_headers(factories.SECRET, key="msg_1", body=b'{"a":1}', at=datetime.now(UTC))
    for body in (b'{"a": 1}', b"", b"\xff\xfe"):
        with pytest.raises(SignatureInvalid):
            standard.verify(source=source(factories.SECRET), headers=headers, body=body)


@pytest.mark.parametrize("secret", ["", "whsec_", "whsec_%", "whsec_a"])
def test_a_useless_secret_lets_nobody_in(secret: str) -> None:
    headers = standard.signed_headers(factories.SECRET, key="msg_1", body=b"{}", at=datetime.now(UTC))
    with pytest.raises(SignatureInvalid):
        standard.verify(source=source(secret), headers=headers, body=b"{}")


def test_a_whole_payload_is_read_whole() -> None:
    ticket = one(json.dumps(WHOLE))
    assert (ticket.external_id, ticket.subject, ticket.body) == ("INC0010023", "Account locked", "I cannot sign in.")
    assert (ticket.priority, ticket.sequence, ticket.group) == ("3", 4, "Service Desk")
    assert ticket.due_at == datetime(2026, 11, 21, 8, 30, tzinfo=UTC)
    assert ticket.fields == {"host": "web01", "assignment_group": "Service Desk", "company": "ACME", "cost": "1.5"}
    assert ticket.owner == {"company": "ACME"}
    assert ticket.attachments == ({"name": "screen.png", "type": "image/png"},)
    assert ticket.stated >= WHOLE.keys() - {"fields"}


def test_what_a_message_leaves_out_is_not_stated() -> None:
    ticket = one('{"external_id": 7, "status": "solved", "subject": null}')
    assert ticket.external_id == "7"
    assert ticket.stated == {"external_id", "status"}
    assert ticket.updated_at == ticket.created_at == AT


def test_a_message_survives_being_put_aside_as_json() -> None:
    ticket = one(json.dumps(WHOLE))
    assert IncomingTicket.from_json(ticket.to_json()) == ticket


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"external_id": None}, "external_id is missing"),
        ({"external_id": "  "}, "external_id is empty"),
        ({"external_id": "x" * 201}, "at most 200"),
        ({"external_id": "a\nb"}, "control character"),
        ({"external_id": 1.5}, "put it in quotes"),
        ({"subject": ["a"]}, "subject must be a text"),
        ({"body": True}, "body must be a text"),
        ({"actor": "robot"}, "person or machine"),
        ({"created_at": "2026-11-20T09:00:00"}, "with a time zone"),
        ({"created_at": "yesterday"}, "ISO 8601"),
        ({"created_at": "0001-01-01T00:00:00+14:00"}, "ISO 8601"),
        ({"created_at": "1970-01-01T00:00:00Z"}, "before 1990"),
        ({"updated_at": "2026-11-22T09:30:00Z"}, "ahead"),
        ({"sequence": -1}, "whole number"),
        ({"sequence": 2**63}, "whole number"),
        ({"sequence": True}, "whole number"),
        ({"attachments": "a.png"}, "must be a list"),
        ({"attachments": [{"type": "x"}]}, "without a name"),
        ({"attachments": [{"name": "a"}] * 101}, "at most 100"),
        ({"fields": ["host"]}, "fields must be an object"),
        ({"requester": "x" * 321}, "at most 320"),
    ],
)
def test_a_bad_value_is_refused_by_its_name_and_how_to_mend_it(changed: dict[str, Any], said: str) -> None:
    assert said in refusal(**changed)


def test_a_list_and_a_ticket_of_which_nothing_is_told_are_refused() -> None:
    with pytest.raises(PayloadInvalid, match="this is a list"):
        one("[]")
    with pytest.raises(PayloadInvalid, match="nothing is told"):
        one('{"external_id": "1"}')


def test_html_bodies_become_text() -> None:
    assert (
        one(json.dumps({**WHOLE, "body": "<p>Hello,</p><p>my <b>mail</b> is full</p>"})).body
        == "Hello,\n\nmy mail is full"
    )


def test_bad_lines_of_a_bulk_delivery_are_put_aside_by_their_number() -> None:
    lines = [
        json.dumps({**WHOLE, "external_id": "1"}),
        "",
        "{",
        '{"external_id": "2", "subject": NaN}',
        json.dumps({**WHOLE, "external_id": "3"}),
    ]
    found = standard.parse(body="\r\n".join(lines).encode(), content_type="application/x-ndjson", at=AT)
    assert [(line, ticket.external_id) for line, ticket in found.tickets] == [(1, "1"), (5, "3")]
    assert [bad.line for bad in found.problems] == [3, 4]
    assert "NaN" in found.problems[1].reason


def test_a_bulk_delivery_has_at_most_a_thousand_lines_and_at_least_one() -> None:
    line = b'{"external_id": "1", "subject": "a"}\n'
    assert len(standard.parse(body=line * 1000, content_type="application/x-ndjson", at=AT).tickets) == 1000
    with pytest.raises(PayloadTooLarge, match="1001 lines"):
        standard.parse(body=line * 1001, content_type="application/x-ndjson", at=AT)
    with pytest.raises(PayloadInvalid, match="no line"):
        standard.parse(body=b"\n\n", content_type="application/x-ndjson", at=AT)


def test_one_line_of_a_bulk_delivery_is_no_larger_than_a_single_ticket() -> None:
    body = json.dumps({"external_id": "1", "body": "x" * standard.SINGLE_BYTES}).encode()
    (bad,) = standard.parse(body=body, content_type="application/x-ndjson", at=AT).problems
    assert "bytes" in bad.reason


class Callback(Desk):
    """Takes what a standard source is told, and answers `said`."""

    said: object = None

    def answer(self, asked: Asked) -> Told:  # noqa: ARG002 - the same answer to everything
        return Told(200, self.said) if self.said is not None else Told(200, text="")


def test_what_is_to_be_placed_goes_to_the_callback_with_what_it_may_go_over_and_the_answer_is_believed() -> None:
    order = Order("place-1", {"group": "Network", "labels": ["vpn"]}, {"group": "Front desk"})
    with serving(Callback()) as desk:
        told = {"reply_url": f"{desk.url}/told", "placing": {"customers": {}, "unset": {"group": ["Inbox"]}}}
        source = Source(slug="s", kind="standard", secrets=factories.SECRET, settings=told)
        assert standard.place(source, external_id="7", order=order).set == order.wanted
        desk.said = {"left": {"group": "somebody set Mail", "other": "no"}}
        placed = standard.place(source, external_id="7", order=order)
        assert (placed.set, placed.left) == ({"labels": ["vpn"]}, {"group": "somebody set Mail"})
        first, second = desk.asked
        assert standard.verify(source=source, headers=first.headers, body=first.body) == "place-1"
        assert second.headers["webhook-id"] == "place-1"
        over = {"group": ["Inbox", "Front desk"], "labels": []}
        content = {"set": order.wanted, "only_over": over}
        assert first.json() == {"external_id": "7", "what": "place", "content": content}
    nowhere = standard.place(Source(slug="s", settings={}), external_id="7", order=order)
    assert set(nowhere.left.values()) == {"the source has no reply_url"}
