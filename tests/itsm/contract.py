"""What every ITSM adapter keeps to, against a fake server of the vendor's shape.

An adapter's test module makes a subclass whose name begins with `Test`, gives it `adapter` and `desk_kind`, and inherits
every test of this file.
"""

import json
import random
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any, ClassVar

import pytest

from classifier.text import Document, text_hash
from tests.itsm.fakes.server import Desk, serving
from triage.itsm import (
    SOURCES,
    Order,
    PayloadInvalid,
    PayloadTooLarge,
    Placed,
    PullFailed,
    ReadFailed,
    ReplyFailed,
    SignatureInvalid,
)
from triage.itsm.base import Connector, IncomingTicket, Page, is_own_user
from triage.itsm.placing import ALREADY, FINISHED, Wanted
from triage.models import Source

START = datetime(2026, 11, 20, 9, 30, tzinfo=UTC)
SUBJECT, BODY = "Cannot sign in", "My account is locked since this morning.\nPlease unlock it."
MUTATIONS = 10_000
WAIT = 7.0


class Contract:
    """The promises of `triage.itsm.base.Connector`, one test each."""

    adapter: ClassVar[Connector]
    desk_kind: ClassVar[type[Desk]]
    kind: ClassVar[str]
    requester: ClassVar[str] = "ada@example.org"

    @pytest.fixture(scope="class")
    @classmethod
    def running(cls) -> Iterator[Desk]:
        """One server for all tests of the class."""
        with serving(cls.desk_kind()) as desk:
            yield desk

    @pytest.fixture
    def desk(self, running: Desk) -> Desk:
        """The fake ITSM, empty."""
        url = running.url
        running.__init__()  # type: ignore[misc]  # the same server, as if it were new
        running.url = url
        return running

    @pytest.fixture
    def source(self, desk: Desk) -> Source:
        """A source that is connected to the desk; not in the database."""
        return Source(
            slug="desk",
            kind=self.kind,
            secrets=desk.secret,
            credentials=json.dumps(dict(desk.credentials)),
            settings={"own_user": desk.own_user, **desk.settings()},
        )

    # small words of the tests

    def parsed(self, body: bytes) -> IncomingTicket:
        found = self.adapter.parse(body=body, content_type="application/json", at=datetime.now(UTC))
        assert not found.problems
        return found.tickets[0][1]

    def pages(self, source: Source, *, since: datetime) -> list[Page]:
        found, cursor = [], ""
        for _ in range(100):
            found.append(self.adapter.pull(source, since=since, cursor=cursor))
            if not (cursor := found[-1].cursor):
                return found
        raise AssertionError("the pages never end")

    def note(self, source: Source, external_id: str, *, key: str = "review-1", **content: object) -> str:
        told = {"text": "Bitte kurz prüfen <b>& melden</b>.", **content}
        return self.adapter.reply(source, external_id=external_id, key=key, what="note", content=told)

    def resolve(self, source: Source, external_id: str, *, key: str = "run-1-2") -> str:
        told = {"text": "Unlock account: done and checked.", "run": "5f0c"}
        return self.adapter.reply(source, external_id=external_id, key=key, what="resolve", content=told)

    def place(self, source: Source, external_id: str, wanted: Wanted, last: Wanted | None = None) -> Placed:
        return self.adapter.place(source, external_id=external_id, order=Order("place-1", wanted, last or {}))

    def one(self, desk: Desk, **values: Any) -> str:
        return desk.add(**{"subject": SUBJECT, "body": BODY, "changed": START, **values})

    # the registry

    def test_the_adapter_is_in_the_registry(self) -> None:
        assert SOURCES[self.kind] is self.adapter

    # messages

    def test_a_signed_message_tells_the_ticket(self, desk: Desk, source: Source) -> None:
        external_id = self.one(desk)
        headers, body = desk.webhook(external_id)
        key = self.adapter.verify(source=source, headers=headers, body=body)
        assert 0 < len(key) <= 200
        found = self.parsed(body)
        assert (found.external_id, found.subject, found.body) == (external_id, SUBJECT, BODY)
        assert {"subject", "body", "status"} <= found.stated
        assert found.owner == desk.owner()

    def test_a_redelivery_has_the_same_key_and_a_change_another(self, desk: Desk, source: Source) -> None:
        external_id = self.one(desk)
        headers, body = desk.webhook(external_id)
        first = self.adapter.verify(source=source, headers=headers, body=body)
        assert self.adapter.verify(source=source, headers=headers, body=body) == first
        desk.edit(external_id, changed=START + timedelta(minutes=1), body="Something else.")
        headers, body = desk.webhook(external_id)
        assert self.adapter.verify(source=source, headers=headers, body=body) != first

    def test_an_older_secret_still_signs_while_it_is_listed(self, desk: Desk, source: Source) -> None:
        headers, body = desk.webhook(self.one(desk))
        source.secrets = f"{self.other_secret()}\n{desk.secret}"
        assert self.adapter.verify(source=source, headers=headers, body=body)

    def other_secret(self) -> str:
        """A secret of the vendor's form that signed nothing."""
        return "another-secret-of-somebody-else"

    def test_without_a_secret_nothing_is_accepted(self, desk: Desk, source: Source) -> None:
        headers, body = desk.webhook(self.one(desk))
        for secrets in ("", "\n \n", self.other_secret()):
            source.secrets = secrets
            with pytest.raises(SignatureInvalid):
                self.adapter.verify(source=source, headers=headers, body=body)

    def test_no_mutated_signature_is_accepted(self, desk: Desk, source: Source) -> None:
        headers, body = desk.webhook(self.one(desk))
        names = self.signed_headers(headers)
        chance = random.Random(f"{self.kind} 1")
        for _ in range(MUTATIONS):
            changed = self.mutated(headers, names, chance)
            with pytest.raises(SignatureInvalid):
                self.adapter.verify(source=source, headers=changed, body=body)

    def signed_headers(self, headers: dict[str, str]) -> list[str]:
        """The headers that prove who sent the message; a change of any of them must be noticed."""
        raise NotImplementedError

    def mutated(self, headers: dict[str, str], names: list[str], chance: random.Random) -> dict[str, str]:
        """The same headers, one of those named changed in one way; never to what means the same."""
        name = chance.choice(names)
        old, new = headers[name], headers[name]
        while new.strip() == old.strip():
            new = _mutated_text(old, chance)
        left = {key: value for key, value in headers.items() if key != name}
        return left if chance.random() < 0.02 else {**left, name: new}

    def test_a_changed_body_is_not_accepted(self, desk: Desk, source: Source) -> None:
        if not self.signs_the_body:
            pytest.xfail("this vendor signs no body; only a secret names the sender")
        headers, body = desk.webhook(self.one(desk))
        chance = random.Random(f"{self.kind} 2")
        for _ in range(500):
            changed = bytearray(body)
            changed[chance.randrange(len(changed))] ^= 1 << chance.randrange(8)
            with pytest.raises(SignatureInvalid):
                self.adapter.verify(source=source, headers=headers, body=bytes(changed))

    signs_the_body: ClassVar[bool] = True

    def test_whatever_is_signed_is_read_or_put_aside(self, desk: Desk) -> None:
        body = desk.webhook(self.one(desk))[1]
        chance = random.Random(f"{self.kind} 3")
        for number in range(400):
            odd = _mutated_value(json.loads(body), chance) if number % 2 else _mutated_bytes(body, chance)
            try:
                self.adapter.parse(body=odd, content_type="application/json", at=datetime.now(UTC))
            except (PayloadInvalid, PayloadTooLarge) as error:
                assert str(error)  # noqa: PT017 - either way is right, any other exception is not

    def test_what_our_own_user_did_is_known_as_such(self, desk: Desk, source: Source) -> None:
        external_id = self.one(desk)
        desk.edit(external_id, changed=START + timedelta(minutes=1), by=desk.own_user)
        assert is_own_user(source, self.parsed(desk.webhook(external_id)[1]).author)

    # reading

    def test_a_ticket_is_read_as_its_message_told_it(self, desk: Desk, source: Source) -> None:
        external_id = self.one(desk)
        told = self.parsed(desk.webhook(external_id)[1])
        found = self.adapter.read(source, external_id)
        assert found is not None
        assert not found.closed
        assert found.text_hash == text_hash(Document(told.subject, told.body))
        assert found.incoming.status == told.status
        assert found.incoming.owner == desk.owner()
        assert found.incoming.requester == self.requester

    def test_a_solved_ticket_is_read_as_closed(self, desk: Desk, source: Source) -> None:
        external_id = self.one(desk)
        desk.solve(external_id)
        found = self.adapter.read(source, external_id)
        assert found is not None
        assert found.closed

    def test_when_a_ticket_is_due_is_what_the_itsm_says(self, desk: Desk, source: Source) -> None:
        due = START + timedelta(hours=4)
        with_due, without = self.one(desk, due=due), self.one(desk)
        told = [self.adapter.read(source, external_id) for external_id in (with_due, without)]
        assert [found and found.incoming.due_at for found in told] == [due, None]

    def test_what_cannot_be_read_says_so(self, desk: Desk, source: Source) -> None:
        external_id = self.one(desk)
        for strange in ("99999999", "../../etc", "?x=1", "a/b", "..", "#", "x" * 300):
            with pytest.raises(ReadFailed):
                self.adapter.read(source, strange)
        for trouble in ("refuse", "babble"):
            desk.babble() if trouble == "babble" else desk.refuse(500, times=9)
            with pytest.raises(ReadFailed):
                self.adapter.read(source, external_id)
            desk.trouble.clear()

    def test_wrong_credentials_read_nothing(self, desk: Desk, source: Source) -> None:
        external_id = self.one(desk)
        source.credentials = json.dumps({"kind": "basic", "user": "mallory", "password": "wrong"})
        with pytest.raises(ReadFailed, match="40[13]"):
            self.adapter.read(source, external_id)
        with pytest.raises(PullFailed, match="40[13]") as refused:
            self.adapter.pull(source, since=START, cursor="")
        assert refused.value.permanent
        with pytest.raises(ReplyFailed, match="40[13]") as unheard:
            self.note(source, external_id)
        assert unheard.value.permanent
        assert not desk.notes(external_id)

    # pulling

    def test_every_change_since_then_is_pulled_oldest_first(self, desk: Desk, source: Source) -> None:
        count = desk.page_size * 2 + 3
        ids = [self.one(desk, changed=START + timedelta(seconds=number)) for number in range(count)]
        older = self.one(desk, changed=START - timedelta(days=1))
        pages = self.pages(source, since=START)
        found = [ticket for page in pages for ticket in page.tickets]
        assert len(pages) >= 3
        assert {ticket.external_id for ticket in found} == set(ids)
        assert older not in {ticket.external_id for ticket in found}
        moments = [ticket.updated_at for ticket in found]
        assert not self.oldest_first or moments == sorted(moments)
        assert all(page.raw and not page.problems for page in pages)
        told = self.parsed(desk.webhook(ids[0])[1])
        assert (found[0].subject, found[0].body, found[0].status) == (told.subject, told.body, told.status)
        assert (found[0].owner, found[0].requester) == (desk.owner(), self.requester)

    oldest_first: ClassVar[bool] = True

    def test_many_changes_of_one_second_are_all_pulled(self, desk: Desk, source: Source) -> None:
        ids = {self.one(desk) for _ in range(desk.page_size + 5)}
        assert {t.external_id for page in self.pages(source, since=START) for t in page.tickets} == ids

    def test_a_ticket_that_changes_while_pages_are_read_hides_no_other(self, desk: Desk, source: Source) -> None:
        ids = [self.one(desk, changed=START + timedelta(seconds=n)) for n in range(desk.page_size + 5)]
        first = self.adapter.pull(source, since=START, cursor="")
        for external_id in ids[:3]:
            desk.edit(external_id, changed=START + timedelta(hours=1), body="Changed meanwhile.")
        rest: list[IncomingTicket] = []
        cursor = first.cursor
        while cursor:
            page = self.adapter.pull(source, since=START, cursor=cursor)
            rest += page.tickets
            cursor = page.cursor
        assert {t.external_id for t in (*first.tickets, *rest)} == set(ids)

    def test_one_record_that_cannot_be_used_hides_no_other(self, desk: Desk, source: Source) -> None:
        bad, good = self.one(desk, subject="a\0b"), self.one(desk)
        page = self.adapter.pull(source, since=START, cursor="")
        assert [ticket.external_id for ticket in page.tickets] == [good] != [bad]
        assert len(page.problems) == 1

    def test_an_itsm_that_wants_time_gets_it(self, desk: Desk, source: Source) -> None:
        self.one(desk)
        desk.refuse(429, times=9, retry_after=str(int(WAIT)))
        with pytest.raises(PullFailed) as slow:
            self.adapter.pull(source, since=START, cursor="")
        assert not slow.value.permanent
        assert slow.value.retry_after == WAIT

    def test_trouble_while_pulling_is_told_apart(self, desk: Desk, source: Source) -> None:
        for trouble, permanent in ((500, False), (503, False), (403, True), (200, False)):
            desk.trouble.clear()
            desk.babble() if trouble == 200 else desk.refuse(trouble, times=9)
            with pytest.raises(PullFailed) as failed:
                self.adapter.pull(source, since=START, cursor="")
            assert failed.value.permanent == permanent, trouble

    # telling

    def test_a_note_is_private_unless_it_is_for_the_requester(self, desk: Desk, source: Source) -> None:
        external_id = self.one(desk)
        before = self.adapter.read(source, external_id)
        assert self.note(source, external_id)
        assert self.note(source, external_id, key="review-2", public=True)
        assert [note.public for note in desk.notes(external_id)] == [False, True]
        assert all("Bitte kurz prüfen" in note.text for note in desk.notes(external_id))
        after = self.adapter.read(source, external_id)
        assert before
        assert after
        assert before.incoming.status == after.incoming.status
        assert before.text_hash == after.text_hash

    def test_the_same_key_is_told_once(self, desk: Desk, source: Source) -> None:
        external_id = self.one(desk)
        for _ in range(3):
            self.note(source, external_id)
        assert len(desk.notes(external_id)) == 1

    def test_what_was_told_although_the_answer_was_lost_is_not_told_twice(self, desk: Desk, source: Source) -> None:
        for tell in (self.note, self.resolve):
            external_id = self.one(desk)
            desk.lose_answers = 1
            try:
                tell(source, external_id)
            except ReplyFailed as error:
                assert not error.permanent  # noqa: PT017 - an adapter may also look and find it done
                tell(source, external_id)
            assert len(desk.notes(external_id)) == 1

    def test_a_resolved_ticket_reads_as_closed_and_what_a_person_set_stays(self, desk: Desk, source: Source) -> None:
        external_id = self.one(desk)
        desk.take(external_id)
        taken = desk.taken(external_id)
        assert self.resolve(source, external_id)
        found = self.adapter.read(source, external_id)
        assert found is not None
        assert found.closed
        assert desk.taken(external_id) == taken
        self.resolve(source, external_id)
        assert len(desk.notes(external_id)) == 1

    def test_what_a_person_solved_is_not_solved_again(self, desk: Desk, source: Source) -> None:
        external_id = self.one(desk)
        desk.solve(external_id)
        solution = desk.solution(external_id)
        assert self.resolve(source, external_id)
        assert desk.solution(external_id) == solution

    def test_trouble_while_telling_is_told_apart(self, desk: Desk, source: Source) -> None:
        external_id = self.one(desk)
        for status, permanent in ((500, False), (503, False), (429, False), (403, True), (404, True)):
            desk.trouble.clear()
            desk.refuse(status, times=9)
            with pytest.raises(ReplyFailed) as failed:
                self.resolve(source, external_id)
            assert failed.value.permanent == permanent, status
        desk.trouble.clear()
        assert not desk.notes(external_id)

    def test_the_itsms_own_pause_reaches_whoever_tries_again(self, desk: Desk, source: Source) -> None:
        external_id = self.one(desk)
        desk.refuse(429, times=9, retry_after=str(int(WAIT)))
        for tell in (lambda: self.note(source, external_id), lambda: self.place(source, external_id, desk.places)):
            with pytest.raises(ReplyFailed) as slow:
                tell()
            assert (slow.value.status, slow.value.retry_after, slow.value.permanent) == (429, WAIT, False)

    # placing

    def test_what_nobody_set_is_set_and_comes_back_as_no_change(self, desk: Desk, source: Source) -> None:
        external_id = self.one(desk)
        before = self.adapter.read(source, external_id)
        placed = self.place(source, external_id, desk.places)
        assert placed.set == desk.resolved(desk.places)
        assert not placed.left
        assert desk.placed(external_id) == desk.resolved(desk.places)
        after = self.adapter.read(source, external_id)
        assert before
        assert after
        assert (after.text_hash, after.incoming.status) == (before.text_hash, before.incoming.status)
        assert placed.echo.items() <= after.incoming.fields.items()
        changed = {name for name, value in after.incoming.fields.items() if before.incoming.fields.get(name) != value}
        assert changed <= {*placed.echo, "assignee", "updated_by"}

    def test_what_a_person_set_stays_and_the_answer_says_so(self, desk: Desk, source: Source) -> None:
        external_id = self.one(desk)
        desk.person_places(external_id)
        theirs = desk.placed(external_id)
        writes = len(desk.writes())
        placed = self.place(source, external_id, {name: v for name, v in desk.places.items() if isinstance(v, str)})
        assert not placed.set
        assert all(placed.left.values())
        assert desk.placed(external_id) == theirs
        assert len(desk.writes()) == writes

    def test_a_second_try_finds_it_done(self, desk: Desk, source: Source) -> None:
        external_id = self.one(desk)
        desk.lose_answers = 1
        try:
            self.place(source, external_id, desk.places)
        except ReplyFailed as error:
            assert not error.permanent  # noqa: PT017 - where the vendor takes two requests, the first was lost
            self.place(source, external_id, desk.places)
        writes = len(desk.writes())
        again = self.place(source, external_id, desk.places)
        assert set(again.left.values()) == {ALREADY}
        assert len(desk.writes()) == writes
        assert desk.placed(external_id) == desk.resolved(desk.places)

    def test_what_we_set_ourselves_may_be_changed_by_us(self, desk: Desk, source: Source) -> None:
        external_id = self.one(desk)
        first = self.place(source, external_id, desk.places)
        wanted = {name: value for name, value in desk.places_later.items() if isinstance(value, str)}
        left = self.place(source, external_id, wanted)
        assert not left.set, "without our memory it might be a person's"
        second = self.place(source, external_id, wanted, last=first.set)
        assert second.set == desk.resolved(wanted)
        assert desk.resolved(wanted).items() <= desk.placed(external_id).items()

    def test_a_finished_ticket_is_not_placed(self, desk: Desk, source: Source) -> None:
        external_id = self.one(desk)
        desk.solve(external_id)
        writes = len(desk.writes())
        assert set(self.place(source, external_id, desk.places).left.values()) == {FINISHED}
        assert len(desk.writes()) == writes

    # attached articles

    def test_an_article_that_an_agent_attached_is_read_and_pulled_ours_is_not(self, desk: Desk, source: Source) -> None:
        if not desk.article:
            pytest.xfail("this vendor keeps no articles at its tickets")
        source.settings |= desk.article_settings()
        first, other, none = self.one(desk), self.one(desk), self.one(desk)
        desk.attach(first, desk.article, by="bob")
        desk.attach(other, desk.article, by=desk.own_user)
        for external_id in (first, other, none):
            desk.solve(external_id)
        expected = {first: desk.article, other: "" if desk.tells_who_attached else desk.article, none: ""}
        for external_id, article in expected.items():
            found = self.adapter.read(source, external_id)
            assert found is not None
            assert found.incoming.attached_article == article
        pulled = [ticket for page in self.pages(source, since=START) for ticket in page.tickets]
        assert {ticket.external_id: ticket.attached_article for ticket in pulled} == expected

    def test_a_ticket_id_never_leads_elsewhere(self, desk: Desk, source: Source) -> None:
        for strange in ("../../../api/users/1", "1?x=y", "1#", "..", "", "1/notes"):
            with pytest.raises(ReplyFailed) as failed:
                self.resolve(source, strange)
            assert failed.value.permanent
        assert not desk.writes()


def _mutated_text(text: str, chance: random.Random) -> str:
    place = chance.randrange(len(text))
    odd = chance.choice(["", "=", "é", "\u0661", "0", "A", "\0", " ", ",", "v1,", "\udc80", "😀", "z" * 500, "-1"])
    ways = (
        lambda: text[:place] + odd + text[place + 1 :],
        lambda: text[:place] + odd + text[place:],
        lambda: text[:place],
        lambda: text + odd,
        text.swapcase,
        lambda: "".join(chance.sample(text, len(text))),
        lambda: "".join(chr(chance.randrange(32, 0x2FF)) for _ in range(chance.randrange(60))),
    )
    return chance.choice(ways)()


def _mutated_bytes(body: bytes, chance: random.Random) -> bytes:
    changed = bytearray(body)
    for _ in range(chance.randrange(1, 4)):
        place = chance.randrange(len(changed))
        changed[place : place + chance.randrange(3)] = chance.choice([b"", b'"', b"{", b"\xff", b"\\u0000", b"1e999"])
    return bytes(changed)


def _mutated_value(value: Any, chance: random.Random) -> bytes:
    """The same JSON with one of its values, at any depth, replaced by something of another kind."""
    places: list[tuple[Any, Any]] = []
    waiting = [value]
    while waiting:
        item = waiting.pop()
        inner = item.items() if isinstance(item, dict) else enumerate(item) if isinstance(item, list) else ()
        for name, child in inner:
            places.append((item, name))
            waiting.append(child)
    where, name = chance.choice(places)
    odd: list[object] = [
        None,
        True,
        -1,
        1.5,
        10**30,
        "",
        "x" * 400,
        "\u2028",
        [],
        [1],
        {},
        {"value": []},
        {"a": {"b": 1}},
        "9999-99-99",
    ]
    where[name] = chance.choice(odd)
    return json.dumps(value).encode()
