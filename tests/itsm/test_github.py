"""GitHub issues: the contract, and what is GitHub's own."""

import json
import time
from datetime import UTC, datetime
from typing import Any, ClassVar

import pytest

from tests.itsm.contract import START, Contract
from tests.itsm.fakes.github import GitHub
from tests.itsm.fakes.server import Desk
from triage.itsm import PayloadInvalid, PullFailed, github, github_issue, hub_signature
from triage.itsm.base import Connector, Parsed
from triage.models import Source

NOW = datetime.now(UTC)


def parsed(told: dict[str, Any]) -> Parsed:
    return github.parse(body=json.dumps(told).encode(), content_type="application/json", at=NOW)


def event(action: str, **more: Any) -> dict[str, Any]:
    desk = GitHub()
    issue = desk.issues[desk.add(subject="a", body="b", changed=START)]
    return {"action": action, "issue": issue, "repository": {"id": 1}, "sender": {"login": "bob"}, **more}


class TestGitHub(Contract):
    adapter: ClassVar[Connector] = github
    desk_kind = GitHub
    kind = "github"
    requester = "ada"

    def signed_headers(self, _: dict[str, str]) -> list[str]:
        return ["x-hub-signature-256"]

    def test_a_note_is_private_unless_it_is_for_the_requester(self, desk: Desk, source: Source) -> None:
        """Every comment on GitHub is public: what may be written at all is a setting."""
        for allowed, count in ((None, 0), ("none", 0), ("replies", 1), ("all", 2)):
            source.settings["comments"] = allowed
            external_id = self.one(desk)
            told = self.note(source, external_id)
            assert ("everybody could read it" in told) is (count < 2)
            self.note(source, external_id, key="review-2", public=True)
            assert len(desk.notes(external_id)) == count

    def test_an_issue_is_closed_as_completed_without_a_word_where_none_is_allowed(
        self, desk: GitHub, source: Source
    ) -> None:
        source.settings |= {"comments": "none", "resolved_label": "solved by runbook"}
        external_id = self.one(desk)
        self.resolve(source, external_id)
        assert desk.solution(external_id) == ("closed", "completed")
        assert [label["name"] for label in desk.issues[external_id]["labels"]] == ["vpn", "bug", "solved by runbook"]
        assert not desk.notes(external_id)

    def test_what_a_stranger_wrote_calls_nobody_from_our_comment(self, desk: GitHub, source: Source) -> None:
        external_id = self.one(desk)
        github.reply(source, external_id=external_id, key="k", what="note", content={"text": "@acme/all <img> #1 -->"})
        (note,) = desk.notes(external_id)
        assert "@acme" not in note.text
        assert "#1" not in note.text
        assert "<img" not in note.text

    def test_a_limit_that_comes_as_403_is_waited_for(self, desk: GitHub, source: Source) -> None:
        self.one(desk)
        desk.refuse(403, retry_after="9")
        with pytest.raises(PullFailed) as slow:
            github.pull(source, since=START, cursor="")
        assert (slow.value.permanent, slow.value.retry_after) == (False, 9)
        desk.left = "0"
        assert 30 < github.pull(source, since=START, cursor="").pause <= 40

    def test_the_link_of_an_answer_is_never_followed(self, desk: GitHub, source: Source) -> None:
        for _ in range(desk.page_size + 1):
            self.one(desk)
        assert len(self.pages(source, since=START)) == 2
        assert all(asked.path == "/repos/acme/support/issues" for asked in desk.asked)

    @pytest.mark.parametrize("bad", ["acme", "acme/..", "acme/support/../x", "acme/a?b", "", 7, "acme/support#1"])
    def test_nothing_but_repositories_is_asked_for(self, desk: GitHub, source: Source, bad: object) -> None:
        source.settings["repositories"] = ["acme/support", bad]
        with pytest.raises(PullFailed, match="in repositories"):
            github.pull(source, since=START, cursor="")
        assert not desk.asked

    def test_pull_requests_are_no_tickets(self, desk: GitHub, source: Source) -> None:
        issue, request = self.one(desk), self.one(desk)
        desk.issues[request]["pull_request"] = {"url": "x"}
        page = github.pull(source, since=START, cursor="")
        assert [ticket.external_id for ticket in page.tickets] == [issue]


def test_the_vector_of_the_documentation_is_signed_as_published() -> None:
    told = hub_signature.signature("It's a Secret to Everybody", b"Hello, World!")
    assert told == "sha256=757107ea0eb2509fc211221cce984b8a37570b6d7586c22c46f4379c8b043e17"
    source = Source(slug="s", secrets="It's a Secret to Everybody")
    assert github.verify(source=source, headers={"x-hub-signature-256": told}, body=b"Hello, World!")


def test_a_replay_is_known_by_the_body_whatever_its_headers_say() -> None:
    desk = GitHub()
    headers, body = desk.webhook(desk.add(subject="a", body="b", changed=START))
    source = Source(slug="s", secrets=desk.secret)
    told = [{**headers, "x-github-delivery": name} for name in ("1", "2")]
    assert len({github.verify(source=source, headers=each, body=body) for each in told}) == 1


def test_other_events_say_nothing_of_tickets() -> None:
    assert parsed({"zen": "Keep it logically awesome.", "hook_id": 1}).tickets == ()
    assert parsed({"action": "started", "repository": {"id": 1}}).tickets == ()
    request = event("edited")
    request["issue"]["pull_request"] = {"url": "x"}
    assert parsed(request).tickets == ()
    with pytest.raises(PayloadInvalid, match="no event of GitHub"):
        parsed({"issue": {}})


def test_a_comment_is_told_apart_from_the_text() -> None:
    comment = {"user": {"login": "carol"}, "body": "Try again", "updated_at": "2026-11-20T09:31:00Z"}
    ((_, found),) = parsed(event("created", comment=comment)).tickets
    assert (found.comment, found.author, found.body) == (True, "carol", "Try again")
    assert "subject" not in found.stated
    assert parsed(event("deleted", comment=comment)).tickets == ()


def test_an_issue_that_is_gone_is_over_and_a_robot_is_a_machine() -> None:
    ((_, found),) = parsed(event("transferred")).tickets
    assert found.status == "cancelled"
    told = event("opened")
    told["issue"]["user"] = {"login": "alerts[bot]", "type": "Bot"}
    told["issue"]["body"] = "Disk full.<!-- Describe your problem above -->"
    ((_, found),) = parsed(told).tickets
    assert (found.actor, found.requester, found.body) == ("machine", "alerts[bot]", "Disk full.")
    assert found.fields["labels"] == "bug, vpn"


def test_remarks_that_never_end_take_linear_time() -> None:
    before = time.process_time()
    assert github_issue._without_remarks("<!--" * 200_000).startswith("<!--")
    assert time.process_time() - before < 1
