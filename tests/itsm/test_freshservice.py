"""Freshservice: the contract, and the forms that only Freshservice has."""

import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import ClassVar

import pytest

from tests.itsm.contract import START, Contract
from tests.itsm.fakes.freshservice import Freshservice
from tests.itsm.fakes.server import Desk, serving
from triage.itsm import PayloadInvalid, PullFailed, SignatureInvalid, freshservice
from triage.itsm.base import Connector
from triage.models import Source


class TestFreshservice(Contract):
    """Freshservice keeps the contract, but lists tickets by their creation and signs no body."""

    adapter: ClassVar[Connector] = freshservice
    desk_kind: ClassVar[type[Desk]] = Freshservice
    kind: ClassVar[str] = "freshservice"
    oldest_first: ClassVar = False
    signs_the_body: ClassVar = False

    def signed_headers(self, headers: dict[str, str]) -> list[str]:
        return list(headers)


@pytest.fixture
def desk() -> Iterator[Freshservice]:
    with serving(Freshservice()) as found:
        yield found


@pytest.fixture
def source(desk: Freshservice) -> Source:
    return Source(slug="f", secrets=desk.secret, settings=desk.settings(), credentials=json.dumps(desk.credentials))


def test_a_short_secret_is_refused_even_where_it_is_right(source: Source) -> None:
    source.secrets = "guess-me"
    with pytest.raises(SignatureInvalid, match="20 characters"):
        freshservice.verify(source=source, headers={freshservice.SECRET: "guess-me"}, body=b"{}")


def test_the_simple_editor_of_a_workflow_is_understood() -> None:
    told = {
        "ticket_id": "INC-42",
        "ticket_subject": "Printer",
        "ticket_status": "Resolved",
        "ticket_description": "<b>x</b><br>y",
    }
    body = json.dumps({"freshdesk_webhook": told}).encode()
    found = freshservice.parse(body=body, content_type="application/json", at=START).tickets[0][1]
    assert (found.external_id, found.subject, found.status) == ("42", "Printer", "resolved")
    assert found.updated_at < START - freshservice.HINT_AGE  # so that a pull is never taken for an older state
    assert "requester" not in found.stated


def test_a_message_whose_text_broke_its_json_is_put_aside() -> None:
    body = b'{"ticket": {"id": "42", "subject": "a "quoted" word"}}'
    with pytest.raises(PayloadInvalid, match="not JSON"):
        freshservice.parse(body=body, content_type="application/json", at=START)


def test_a_deleted_ticket_is_closed(desk: Freshservice, source: Source) -> None:
    external_id = desk.add(subject="a", body="b", changed=START, deleted=True)
    seen = freshservice.read(source, external_id)
    assert seen is not None
    assert seen.closed


def test_tickets_that_are_listed_without_their_text_are_read_one_by_one(desk: Freshservice, source: Source) -> None:
    desk.lists_text = False
    desk.add(subject="a", body="first line\nsecond line", changed=START)
    page = freshservice.pull(source, since=START - timedelta(minutes=5), cursor="")
    assert [ticket.body for ticket in page.tickets] == ["first line\nsecond line"]


def test_the_accounts_limit_is_left_to_its_other_programs(desk: Freshservice, source: Source) -> None:
    for _ in range(2 * desk.page_size + 1):
        desk.add(subject="a", body="b", changed=START)
    assert freshservice.pull(source, since=START, cursor="").pause == 0.0
    desk.left = 12
    assert freshservice.pull(source, since=START, cursor="2").pause > 0
    desk.left = 1
    with pytest.raises(PullFailed) as slow:
        freshservice.pull(source, since=START, cursor="3")
    assert (slow.value.permanent, slow.value.retry_after) == (False, 41.0)


def test_what_changes_while_pages_are_read_does_not_carry_the_mark_past_what_was_not_seen(
    desk: Freshservice, source: Source
) -> None:
    ids = [desk.add(subject="a", body="b", changed=START) for _ in range(desk.page_size + 2)]
    first = freshservice.pull(source, since=START, cursor="")
    later = datetime.now(UTC) + timedelta(seconds=2)
    desk.edit(ids[0], changed=later)  # was on the first page
    desk.edit(ids[-1], changed=later + timedelta(seconds=1))
    rest = freshservice.pull(source, since=START, cursor=first.cursor)
    assert {ticket.updated_at for ticket in (*first.tickets, *rest.tickets)} == {START}
    assert len(rest.tickets) == 1


def test_fields_that_an_account_wants_are_filled_only_where_nobody_did(desk: Freshservice, source: Source) -> None:
    external_id = desk.add(subject="a", body="b", changed=START, category="Network")
    freshservice.reply(source, external_id=external_id, key="k", what="resolve", content={"text": "done"})
    ticket = desk.tickets[external_id]
    assert (ticket["category"], ticket["sub_category"], ticket["status"]) == ("Network", "Done by itself", 4)


def test_a_note_cannot_bring_markup(desk: Freshservice, source: Source) -> None:
    external_id = desk.add(subject="a", body="b", changed=START)
    text = "<img src=x onerror=alert(1)>"
    freshservice.reply(source, external_id=external_id, key="k", what="note", content={"text": text})
    assert "<img" not in desk.conversations[external_id][0]["body"]
    assert text in desk.conversations[external_id][0]["body_text"]
