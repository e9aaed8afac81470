"""Jira, Cloud and Data Center: the contract, and what is Jira's own."""

import json
import time
from datetime import UTC, datetime, timedelta
from typing import Any, ClassVar

import pytest

from classifier.text import normalise
from tests.itsm.contract import START, Contract
from tests.itsm.fakes.jira import JiraCloud, JiraDataCenter, stamp
from triage.itsm import PayloadInvalid, PullFailed, ReplyFailed, SignatureInvalid, hub_signature, jira, jira_issue
from triage.itsm.base import Connector, Parsed
from triage.itsm.jira_text import document, document_text, to_text, wiki, wiki_text
from triage.models import Source

NOW = datetime.now(UTC)


def parsed(told: dict[str, Any]) -> Parsed:
    return jira.parse(body=json.dumps(told).encode(), content_type="application/json", at=NOW)


class TestCloud(Contract):
    adapter: ClassVar[Connector] = jira
    desk_kind = JiraCloud
    kind = "jira"

    def signed_headers(self, _: dict[str, str]) -> list[str]:
        return ["x-hub-signature"]

    def test_all_that_the_service_desk_says_is_read(self, desk: JiraCloud, source: Source) -> None:
        found = jira.read(source, self.one(desk))
        assert found is not None
        told = found.incoming
        assert (told.channel, told.actor, told.kind, told.priority) == ("portal", "person", "incident", "High")
        assert told.attachments == ({"name": "screen.png", "type": "image/png"},)
        assert told.fields["request_type"] == "Get IT help"
        assert told.fields["labels"] == "mac vpn"
        assert told.fields["customfield_10031"] == "web01"
        assert "customfield_10019" not in told.fields, "the order of cards is no property of the ticket"

    def test_an_issue_that_moved_is_closed_under_its_old_key(self, desk: JiraCloud, source: Source) -> None:
        key = self.one(desk)
        desk.issues[key]["key"] = "OPS-7"
        found = jira.read(source, key)
        assert found is not None
        assert found.closed
        _, body = desk.webhook(key)
        moved = json.loads(body) | {"changelog": {"items": [{"field": "Key", "fromString": key, "toString": "OPS-7"}]}}
        new, old = (ticket for _, ticket in parsed(moved).tickets)
        assert (new.external_id, old.external_id, old.status) == ("OPS-7", key, "Cancelled")

    def test_the_limit_of_the_site_is_kept(self, desk: JiraCloud, source: Source) -> None:
        self.one(desk)
        assert jira.pull(source, since=START, cursor="").pause == 0
        desk.near_limit = True
        assert 20 < jira.pull(source, since=START, cursor="").pause <= 30

    def test_a_note_is_found_by_its_words_where_properties_are_not_given_back(
        self, desk: JiraCloud, source: Source
    ) -> None:
        desk.properties_shown = False
        key = self.one(desk)
        for _ in range(2):
            self.note(source, key)
        assert len(desk.notes(key)) == 1

    def test_the_way_to_the_end_is_the_good_one_with_the_right_resolution(
        self, desk: JiraCloud, source: Source
    ) -> None:
        key = self.one(desk)
        assert "Resolved" in self.resolve(source, key)
        fields = desk.issues[key]["fields"]
        assert (fields["status"]["name"], fields["resolution"]["name"]) == ("Resolved", "Done")

    @pytest.mark.parametrize(
        ("settings", "said"),
        [
            ({"resolve_transition": "Finish"}, "no transition 'finish'"),
            ({"resolution": "Gone"}, "no resolution 'Gone'"),
        ],
    )
    def test_a_workflow_without_the_way_that_was_set_is_said_for_good(
        self, desk: JiraCloud, source: Source, settings: dict[str, str], said: str
    ) -> None:
        source.settings |= settings
        with pytest.raises(ReplyFailed, match=said) as failed:
            self.resolve(source, self.one(desk))
        assert failed.value.permanent

    @pytest.mark.parametrize("bad", ['SD") OR project = "HR', "sd", "", 7, "SD\n", 'SD"'])
    def test_nothing_but_project_keys_gets_into_a_query(self, desk: JiraCloud, source: Source, bad: object) -> None:
        source.settings["projects"] = ["SD", bad]
        with pytest.raises(PullFailed, match="no project key") as failed:
            jira.pull(source, since=START, cursor="")
        assert failed.value.permanent
        assert not desk.writes()

    def test_a_stored_place_is_no_way_into_a_query_either(self, source: Source) -> None:
        for cursor in ('2026-11-20 09:30" OR project = HR|UTC|2026-11-20T09:30:00+00:00|', "x", "|||"):
            with pytest.raises(PullFailed, match="unreadable"):
                jira.pull(source, since=START, cursor=cursor)

    def test_a_source_for_webhooks_alone_reads_and_tells_nothing(self, source: Source) -> None:
        del source.settings["api_url"]
        assert jira.read(source, "SD-1") is None
        assert "no api_url" in self.note(source, "SD-1")


class TestDataCenter(TestCloud):
    desk_kind = JiraDataCenter

    test_the_limit_of_the_site_is_kept = None  # type: ignore[assignment]  # Cloud's own headers


def test_the_vector_of_the_documentation_is_signed_as_published() -> None:
    told = hub_signature.signature("It's a Secret to Everybody", b"Hello World!")
    assert told == "sha256=a4771c39fbe90f317c7824e83ddef3caae9cb3d976c214ace1f2937e133263c9"
    headers = {"x-hub-signature": told}
    source = Source(slug="s", secrets="It's a Secret to Everybody")
    assert jira.verify(source=source, headers=headers, body=b"Hello World!").startswith("sha256:")


def test_a_replay_is_known_by_the_body_whatever_its_headers_say() -> None:
    desk = JiraCloud()
    headers, body = desk.webhook(desk.add(subject="a", body="b", changed=START))
    source = Source(slug="s", secrets=desk.secret)
    keys = {
        jira.verify(source=source, headers={**headers, "x-atlassian-webhook-identifier": name}, body=body)
        for name in ("1", "2")
    }
    assert len(keys) == 1
    assert keys.pop().startswith("10001/jira:issue_updated/")


def test_a_message_older_than_our_memory_is_refused() -> None:
    desk = JiraCloud()
    old = int((NOW - timedelta(days=30)).timestamp() * 1000)
    headers, body = desk.signed({"timestamp": old, "webhookEvent": "jira:issue_created", "issue": {"id": "1"}})
    with pytest.raises(SignatureInvalid, match="too old"):
        jira.verify(source=Source(slug="s", secrets=desk.secret), headers=headers, body=body)


@pytest.mark.parametrize(
    ("more", "visibility"),
    [
        ({"jsdPublic": True}, "public"),
        ({"jsdPublic": False}, "internal"),
        ({"visibility": {"type": "role"}}, "internal"),
    ],
)
def test_a_comment_is_told_apart_from_the_text(more: dict[str, Any], visibility: str) -> None:
    desk = JiraCloud()
    issue = desk.issues[desk.add(subject="a", body="b", changed=START)]
    comment = {"id": "5", "author": {"accountId": "bob-1"}, "body": "*Try* again", "updated": stamp(START), **more}
    told = {"timestamp": 1, "webhookEvent": "comment_created", "comment": comment, "issue": issue}
    ((_, found),) = parsed(told).tickets
    assert found.comment
    assert (found.body, found.author, found.fields["comment_visibility"]) == ("Try again", "bob-1", visibility)
    assert not {"subject", "requester"} & found.stated


def test_events_that_are_not_of_issues_say_nothing_and_a_deleted_issue_is_over() -> None:
    assert parsed({"webhookEvent": "project_created", "timestamp": 1}).tickets == ()
    desk = JiraCloud()
    issue = desk.issues[desk.add(subject="a", body="b", changed=START)]
    millis = int(NOW.timestamp() * 1000)
    ((_, found),) = parsed({"webhookEvent": "jira:issue_deleted", "timestamp": millis, "issue": issue}).tickets
    assert (found.external_id, found.status) == ("SD-1", "Cancelled")
    with pytest.raises(PayloadInvalid, match="webhookEvent is missing"):
        parsed({"issue": issue})


def test_a_status_that_jira_counts_as_done_is_done_in_any_language() -> None:
    desk = JiraCloud()
    issue = desk.issues[desk.add(subject="a", body="b", changed=START)]
    issue["fields"]["status"] = {"name": "Gelöst", "statusCategory": {"key": "done"}}
    assert jira_issue.issue(issue, at=NOW).status == "Done"
    issue["fields"]["status"] = {"name": "In Arbeit", "statusCategory": {"key": "indeterminate"}}
    assert jira_issue.issue(issue, at=NOW).status == "In Arbeit"


def test_of_several_slas_the_resolution_counts_and_two_organisations_name_none() -> None:
    desk = JiraCloud()
    issue = desk.issues[desk.add(subject="a", body="b", changed=START, due=START + timedelta(hours=8))]
    first = {"epochMillis": int((START + timedelta(hours=1)).timestamp() * 1000)}
    issue["fields"]["customfield_1"] = {"name": "Time to first response", "ongoingCycle": {"breachTime": first}}
    issue["fields"]["customfield_10002"] *= 2
    found = jira_issue.issue(issue, at=NOW)
    assert found.due_at == START + timedelta(hours=8)
    assert found.owner == {"project": "SD"}


def node(kind: str, *content: Any, **attrs: Any) -> dict[str, Any]:
    return {"type": kind, "content": list(content), "attrs": attrs}


def words(text: str, *marks: str) -> dict[str, Any]:
    return {"type": "text", "text": text, "marks": [{"type": mark} for mark in marks]}


PAIRS = [
    (node("paragraph", words("I "), words("cannot", "strong"), words(" sign in")), "I *cannot* sign in"),
    (node("heading", words("Steps")), "h2. Steps"),
    (node("bulletList", *(node("listItem", node("paragraph", words(w)))for w in ("a b", "c"))), "* a b\n* c"),
    (node("paragraph", words("See "), words("the wiki", "link")), "See [the wiki|https://wiki.example.org/x]"),
    (node("paragraph", {"type": "inlineCard", "attrs": {"url": "https://a.example/x"}}), "[https://a.example/x]"),
    (node("paragraph", {"type": "mention", "attrs": {"id": "557:ab", "text": "@Ada"}}, words(" asks")),
     "[~accountid:557:ab] asks"),
    (node("codeBlock", words("a_b *not bold* {x}")), "{code:java}\na_b *not bold* {x}\n{code}"),
    (node("table", node("tableRow", node("tableHeader", words("Host")), node("tableCell", words("web01")))),
     "||Host|web01|"),
    (node("blockquote", node("paragraph", words("it says no"))), "{quote}it says no{quote}"),
    (node("paragraph", words("drive "), words("C:\\temp", "code")), "drive {{C:\\temp}}"),
    (node("paragraph", words("user_name_x and -5 or [ERROR] <a> 3*4*5")), "user_name_x and -5 or [ERROR] <a> 3*4*5"),
    (node("paragraph", words("one"), {"type": "hardBreak"}, words("two")), "one\\\\two"),
    (node("paragraph", words("a*b* c!d!")), "a\\*b\\* c\\!d\\!"),
    (node("rule"), "----"),
]  # fmt: skip


@pytest.mark.parametrize(("written", "marked"), PAIRS)
def test_the_same_text_reads_the_same_in_both_formats(written: dict[str, Any], marked: str) -> None:
    one, other = document_text(node("doc", written)), wiki_text(marked)
    assert normalise(one) == normalise(other)


def test_what_we_write_reads_back_as_it_was_meant() -> None:
    for text in (
        "*no* {code} [~ada] !a.png! h1. x_y",
        "- a\n# b",
        "C:\\new\\temp | -x-",
        "Grüße {color:red}rot{color}",
    ):
        assert normalise(to_text(document(text))) == normalise(text)
        assert normalise(wiki_text(wiki(text))) == normalise(text)
    assert to_text(None) == to_text(7) == ""


@pytest.mark.parametrize(
    "piece", ["{code}", "[a|", "*a ", "!a|", "{{a", "[~", "\\", "{quote:", "|", "\n* ", "(*", "- "]
)
def test_a_hostile_text_takes_linear_time(piece: str) -> None:
    text = (piece * (200_000 // len(piece)))[:200_000]
    before = time.process_time()
    wiki_text(text)
    assert time.process_time() - before < 4


def test_odd_nodes_of_a_document_do_no_harm() -> None:
    odd: list[Any] = [
        None,
        7,
        "words",
        {},
        {"type": []},
        {"type": "text", "text": [1]},
        {"type": "mention", "attrs": []},
    ]
    odd += [{"type": "date", "attrs": {"timestamp": "9" * 40}}, {"content": {}}, node("text", text=7)]
    assert document_text({"type": "doc", "content": odd}).startswith("words")


def test_a_deep_document_is_read_without_recursion() -> None:
    deep: dict[str, Any] = {"type": "text", "text": "here"}
    for _ in range(5000):
        deep = {"type": "panel", "content": [deep]}
    assert document_text(deep) == "here"
