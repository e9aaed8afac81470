"""Zendesk: the contract, its signature by the vendor's rule, and the forms that only Zendesk has."""

import json
from datetime import UTC, datetime, timedelta
from typing import ClassVar

import pytest

from tests.itsm.contract import START, Contract
from tests.itsm.fakes.server import Desk, serving
from tests.itsm.fakes.zendesk import Zendesk
from triage.itsm import PayloadInvalid, PullFailed, ReplyFailed, SignatureInvalid, zendesk
from triage.itsm.base import Connector
from triage.models import Source


class TestZendesk(Contract):
    """Zendesk keeps the contract."""

    adapter: ClassVar[Connector] = zendesk
    desk_kind: ClassVar[type[Desk]] = Zendesk
    kind: ClassVar[str] = "zendesk"

    def signed_headers(self, headers: dict[str, str]) -> list[str]:
        return [name for name in headers if "signature" in name]  # the ids of webhook and invocation are not signed

    def test_a_ticket_that_changes_between_look_and_write_is_left_for_the_next_try(
        self, desk: Desk, source: Source, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        external_id = self.one(desk)
        look = desk.answer

        def meanwhile(asked):  # type: ignore[no-untyped-def]  # the server's own signature
            told = look(asked)
            told = type(told)(told.status, json.loads(json.dumps(told.value)), told.headers)
            if asked.method == "GET":
                desk.edit(external_id, changed=START + timedelta(hours=1))
                monkeypatch.undo()
            return told

        monkeypatch.setattr(desk, "answer", meanwhile)
        with pytest.raises(ReplyFailed, match="409") as failed:
            self.resolve(source, external_id)
        assert not failed.value.permanent
        assert not desk.notes(external_id)
        self.resolve(source, external_id)
        assert len(desk.notes(external_id)) == 1


@pytest.fixture
def source() -> Source:
    return Source(slug="z", kind="zendesk", secrets=Zendesk.secret)


def test_the_signature_is_that_of_the_documented_example() -> None:
    made = zendesk.signature("secret", timestamp="2021-03-25T05:09:27Z", body=b'{"a":1}')
    assert made == "cfusl9J3LiQ8f1lBL4XyKz9XF36PrBmDiX2DDJ7FACs="


@pytest.mark.parametrize("seconds", [-301, 301, 86_400])
def test_a_message_that_was_signed_long_ago_or_ahead_is_refused(source: Source, seconds: int) -> None:
    headers = Zendesk().signed(b"{}", at=datetime.now(UTC) - timedelta(seconds=seconds))
    with pytest.raises(SignatureInvalid, match="clock"):
        zendesk.verify(source=source, headers=headers, body=b"{}")


def test_the_public_test_secret_signs_nothing_even_where_it_is_listed(source: Source) -> None:
    source.secrets = f"{zendesk.PUBLIC_SECRET}\n{Zendesk.secret}"
    headers = Zendesk().signed(b"{}", secret=zendesk.PUBLIC_SECRET)
    with pytest.raises(SignatureInvalid, match="public test secret"):
        zendesk.verify(source=source, headers=headers, body=b"{}")
    assert zendesk.verify(source=source, headers=Zendesk().signed(b"{}"), body=b"{}")


def test_an_event_of_something_else_is_put_aside() -> None:
    body = b'{"type": "zen:event-type:user.created", "detail": {"id": "1"}}'
    with pytest.raises(PayloadInvalid, match="ticket events"):
        zendesk.parse(body=body, content_type="application/json", at=START)


def test_a_deleted_ticket_is_closed_and_its_scrubbed_text_does_not_replace_the_known_one() -> None:
    record = {
        "id": 3,
        "status": "deleted",
        "subject": "SCRUBBED",
        "description": "SCRUBBED",
        "updated_at": "2026-11-20T09:30:00Z",
    }
    told = zendesk.converted(record)
    assert told["status"] == "closed"
    assert not {"subject", "body"} & told.keys()


def test_an_answered_mail_and_a_signature_are_no_part_of_the_text() -> None:
    record = {
        "id": 3,
        "subject": "Re: Printer",
        "description": "It is broken again.\n\nOn 3 May 2026 Bob wrote:\n> Fixed.",
        "updated_at": "",
    }
    assert zendesk.converted(record)["body"] == "It is broken again."


def test_nothing_more_is_written_to_a_closed_ticket(source: Source) -> None:
    with serving(Zendesk()) as desk:
        source.settings, source.credentials = desk.settings(), json.dumps(desk.credentials)
        external_id = desk.add(subject="a", body="b", changed=START, status="closed")
        told = zendesk.reply(source, external_id=external_id, key="k", what="resolve", content={"text": "done"})
        assert "closed" in told
        assert not desk.writes()


def test_a_page_of_long_texts_is_no_obstacle(source: Source) -> None:
    with serving(Zendesk()) as desk:
        source.settings, source.credentials = desk.settings(), json.dumps(desk.credentials)
        for _ in range(desk.page_size):
            desk.add(subject="a", body="ü" * 65_536, changed=START)  # six bytes each, as JSON may write them
        assert len(zendesk.pull(source, since=START, cursor="").tickets) == desk.page_size


def test_the_export_is_asked_ten_times_a_minute_at_most(source: Source) -> None:
    with serving(Zendesk()) as desk:
        source.settings, source.credentials = desk.settings(), json.dumps(desk.credentials)
        for _ in range(desk.page_size + 1):
            desk.add(subject="a", body="b", changed=START)
        page = zendesk.pull(source, since=START, cursor="")
        assert page.cursor
        assert page.pause >= 60 / 10
        assert zendesk.pull(source, since=START, cursor=page.cursor).pause == 0.0
        assert zendesk.pull(source, since=datetime.now(UTC), cursor="").tickets == ()  # it starts a minute ago
        for _ in range(7):
            zendesk.pull(source, since=START, cursor="")
        with pytest.raises(PullFailed) as slow:
            zendesk.pull(source, since=START, cursor="")
        assert (slow.value.permanent, slow.value.retry_after) == (False, 33.0)
