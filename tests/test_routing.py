"""Every condition of automation fails one by one, each with its sentence; and the gate's hash moves with its parts."""

import sqlite3
from contextlib import closing
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from classifier.estimator import Match, Ranking
from classifier.evidence import Evidence
from classifier.text import Document, TextPipeline
from runbooks.base import Runbook
from runbooks.registry import RUNBOOKS
from runbooks.targets.directory import Account, Group, SqliteDirectory, create
from triage import routing
from triage.routing import Offer, Pick, Proof, Routed, Situation

AT = datetime(2026, 11, 20, 9, 30, tzinfo=UTC)
UNLOCK = RUNBOOKS["unlock_account"].model_copy(update={"assurance": "mail"})
PICK = Pick(
    article="KB0001",
    probability=0.97,
    score=0.95,
    sufficient=True,
    evidence="All words are known.",
    live=True,
    runbook=UNLOCK,
    parameters={"account": "a.smith"},
    complete=True,
)
PROOF = Proof(
    id=7,
    gate="g",
    gate_now="g",
    runbooks=frozenset({"unlock_account"}),
    threshold=0.9,
    expires_at=AT + timedelta(days=1),
    revoked=False,
    proven=frozenset({"unlock_account"}),
)
CLEAR = Situation(at=AT, mode="automate", pick=PICK, certificates=(PROOF,), assurance="portal", touched_at=AT)


def tiered(tier: str) -> Runbook:
    return UNLOCK.model_copy(update={"tier": tier, "reversible": tier != "irreversible"})


def picked(**changes: object) -> Situation:
    return replace(CLEAR, pick=replace(PICK, **changes))  # type: ignore[arg-type]  # the test names fields of Pick


def proved(**changes: object) -> Situation:
    return replace(CLEAR, certificates=(replace(PROOF, **changes),))  # type: ignore[arg-type]  # fields of Proof


def test_with_every_condition_met_the_run_is_automated_under_the_certificate() -> None:
    assert routing.decide(CLEAR) == Routed(
        mode="automate",
        article="KB0001",
        runbook="unlock_account",
        parameters={"account": "a.smith"},
        certificate=7,
        people_needed=0,
        reason="A certificate covers this run: the score reaches its threshold of 0.9.",
    )


def test_the_score_at_the_threshold_itself_is_covered() -> None:
    assert routing.decide(picked(score=0.9)).mode == "automate"


@pytest.mark.parametrize("tier", ["low", "medium"])
def test_low_and_medium_tiers_need_nobody_under_a_certificate(tier: str) -> None:
    assert routing.decide(picked(runbook=tiered(tier))).mode == "automate"


@pytest.mark.parametrize(
    ("situation", "reason"),
    [
        (
            replace(CLEAR, drawn="holdout"),
            "Drawn by chance for a person to answer first: find the article before looking at any match.",
        ),
        (picked(article=""), "The model found no article for this ticket."),
        (picked(sufficient=False, evidence="Only 1 word is known."), "Only 1 word is known."),
        (picked(live=False), "The matching article KB0001 is retired or not offered to this customer."),
        (picked(runbook=None), "Article KB0001 has no runbook."),
        (
            replace(CLEAR, attachment_is_content=True),
            "The problem seems to be described in an attachment, which is not read.",
        ),
        (
            replace(CLEAR, touched_at=AT - timedelta(hours=72, seconds=1)),
            "Nobody changed the ticket for 72 hours, so it may be out of date.",
        ),
        (
            picked(problems=("account: the text names ada, bob, and one is wanted", "the directory is gone: moved")),
            "The text names ada, bob, and one is wanted. The directory is gone: moved.",
        ),
        (picked(complete=False), "Not everything that the runbook needs was found in the ticket."),
    ],
)
def test_what_cannot_be_run_is_suggested_without_a_run(situation: Situation, reason: str) -> None:
    routed = routing.decide(situation)
    assert (routed.mode, routed.reason) == ("suggest", reason)
    assert (routed.runbook, routed.parameters, routed.certificate, routed.people_needed) == ("", {}, None, 0)


@pytest.mark.parametrize(
    ("situation", "reason"),
    [
        (
            replace(CLEAR, mode="suggest"),
            "This customer is in suggest mode: an agent decides whether the runbook runs.",
        ),
        (replace(CLEAR, obstacle="its circuit is open"), "Its circuit is open."),
        (
            picked(probability=0.49, score=0.4),
            "The best match is too unlikely to ask for approval of its runbook.",
        ),
    ],
)
def test_what_may_be_run_by_hand_is_suggested_with_its_runbook(situation: Situation, reason: str) -> None:
    routed = routing.decide(situation)
    assert (routed.mode, routed.reason, routed.runbook) == ("suggest", reason, "unlock_account")
    assert routed.people_needed == 0


@pytest.mark.parametrize(
    ("situation", "reason"),
    [
        (replace(CLEAR, certificates=()), "No certificate covers this runbook, so a person confirms the run."),
        (
            proved(runbooks=frozenset({"add_to_group"})),
            "No certificate covers this runbook, so a person confirms the run.",
        ),
        (
            proved(gate_now="h"),
            "The model, the articles or the runbook changed since the certificate, so a person confirms the run.",
        ),
        (proved(revoked=True), "The certificate for this runbook was revoked, so a person confirms the run."),
        (proved(expires_at=AT), "The certificate for this runbook has expired, so a person confirms the run."),
        (
            picked(score=0.899999),
            "The score is below where the certificate begins, so a person confirms the run.",
        ),
    ],
)
def test_without_a_certificate_for_this_very_run_one_person_is_asked(situation: Situation, reason: str) -> None:
    routed = routing.decide(situation)
    assert (routed.mode, routed.reason, routed.people_needed) == ("approve", reason, 1)
    assert (routed.certificate, routed.parameters) == (None, {"account": "a.smith"})


@pytest.mark.parametrize(
    ("situation", "reason"),
    [
        (replace(CLEAR, mode="approve"), "This customer is in approve mode: a person confirms each run."),
        (
            proved(proven=frozenset()),
            "The runbook's action changed since the certificate, so a person confirms its next runs.",
        ),
        (
            replace(CLEAR, assurance="monitored"),
            "The channel does not show well enough who is asking, so a person confirms the run.",
        ),
    ],
)
def test_some_things_need_a_person_even_under_a_certificate(situation: Situation, reason: str) -> None:
    routed = routing.decide(situation)
    assert (routed.mode, routed.reason, routed.people_needed, routed.certificate) == ("approve", reason, 1, 7)


@pytest.mark.parametrize("proofs", [(PROOF,), ()])
@pytest.mark.parametrize(("tier", "people"), [("high", 1), ("irreversible", 2)])
def test_high_needs_one_person_always_and_irreversible_two(tier: str, people: int, proofs: tuple[Proof, ...]) -> None:
    routed = routing.decide(replace(picked(runbook=tiered(tier)), certificates=proofs))
    assert (routed.mode, routed.people_needed) == ("approve", people)


def test_a_certificate_that_holds_outweighs_others_that_do_not() -> None:
    bad = (replace(PROOF, id=1, revoked=True), replace(PROOF, id=2, gate="old"), replace(PROOF, id=3, threshold=0.99))
    assert routing.decide(replace(CLEAR, certificates=(*bad, PROOF))).certificate == 7


def test_observe_mode_observes_whatever_else_holds() -> None:
    for situation in (CLEAR, replace(CLEAR, obstacle="its circuit is open"), picked(article="")):
        routed = routing.decide(replace(situation, mode="observe"))
        assert (routed.mode, routed.runbook) == ("observe", "")
        assert routed.reason == "This customer is in observe mode: the prediction is recorded and nothing is done."


@pytest.mark.parametrize("purpose", ["holdout", "verify"])
def test_a_drawn_ticket_in_observe_mode_says_that_a_person_answers_it(purpose: str) -> None:
    routed = routing.decide(replace(CLEAR, mode="observe", drawn=purpose))
    assert (routed.mode, routed.runbook) == ("observe", "")
    assert routed.reason.startswith("Drawn by chance for a person to answer first")


def test_a_draw_for_verification_does_not_stop_automation() -> None:
    assert routing.decide(replace(CLEAR, drawn="verify")).mode == "automate"


def ranking(label: str, probability: float = 0.9) -> Ranking:
    evidence = Evidence(
        known_share=1.0,
        known_count=5,
        language="en",
        in_scope=1.0,
        agreement=1.0,
        sufficient=True,
        reason="All words are known.",
    )
    return Ranking(matches=(Match(label, probability),), evidence=evidence, line="x")


def pick(offer: Offer, body: str = "Please unlock my account a.smith") -> Pick:
    return routing.selected(
        ranking=ranking("KB0001"),
        articles={"KB0001": offer},
        document=Document("Locked", body),
        requester="a.smith@example.org",
        fields={},
    )


def test_the_gate_scores_only_what_it_would_run() -> None:
    good = pick(Offer(label="KB0001", runbook=UNLOCK))
    assert good.runbook is UNLOCK
    assert good.parameters == {"account": "a.smith"}
    assert good.gate_score(["unlock_account"]) == 0.9
    assert good.gate_score(["add_to_group"]) == 0.0
    assert pick(Offer(label="KB0001")).gate_score(["unlock_account"]) == 0.0
    assert pick(Offer(label="KB0001", runbook=UNLOCK, live=False)).gate_score(["unlock_account"]) == 0.0
    assert replace(good, complete=False).gate_score(["unlock_account"]) == 0.0
    assert replace(good, problems=("two accounts are named",)).gate_score(["unlock_account"]) == 0.0
    assert replace(good, sufficient=False).gate_score(["unlock_account"]) == 0.0
    assert replace(good, probability=0.499999).gate_score(["unlock_account"]) == 0.0


def test_a_group_with_an_owner_waits_for_the_owner_whatever_is_certified(tmp_path: Path) -> None:
    account = Account(uid="a.smith", display_name="A", mail="a.smith@example.org")
    groups = [Group("Payroll", "", owners=("o.wner",)), Group("Open", "", self_service=True, owners=("o.wner",))]
    create(tmp_path / "directory", [account], groups=groups)
    runbook = RUNBOOKS["add_to_group"]
    covered = proved(runbooks=frozenset({runbook.key}), proven=frozenset({runbook.key}))
    with closing(SqliteDirectory(tmp_path / "directory")) as directory:
        offer = Offer(label="KB0001", runbook=runbook, directory=directory)
        owned, free = (pick(offer, body=f"Please add me to {name}") for name in ("Payroll", "Open"))
    said = routing.decide(replace(covered, pick=owned))
    assert (said.mode, said.people_needed) == ("approve", 1)
    assert said.reason == "Payroll is joined with its owner's yes only: o.wner."
    assert owned.gate_score([runbook.key]) == 0.0
    assert routing.decide(replace(covered, pick=free)).mode == "automate"


def test_a_target_that_cannot_be_used_is_a_problem_of_the_run() -> None:
    lost = pick(Offer(label="KB0001", runbook=UNLOCK, trouble="the directory cannot be used: gone"))
    assert lost.gate_score(["unlock_account"]) == 0.0
    assert routing.decide(replace(CLEAR, pick=lost)).reason == "The directory cannot be used: gone."


def test_a_directory_that_fails_while_it_is_read_is_a_problem_of_the_run(tmp_path: Path) -> None:
    create(tmp_path / "directory.sqlite3", [])
    directory = SqliteDirectory(tmp_path / "directory.sqlite3")
    with closing(sqlite3.connect(tmp_path / "directory.sqlite3")) as other:
        other.execute("DROP TABLE accounts")
    lost = pick(Offer(label="KB0001", runbook=UNLOCK, directory=directory))
    assert lost.problems[0].startswith("the directory cannot be read: ")


def test_an_article_that_the_customer_is_not_offered_is_not_live() -> None:
    other = routing.selected(
        ranking=ranking("KB0002"), articles={}, document=Document("Locked", ""), requester="", fields={}
    )
    assert (other.article, other.live, other.runbook) == ("KB0002", False, None)


def gate_hash(**changes: object) -> str:
    given: dict[str, object] = {
        "text": "t",
        "model": "m",
        "calibrator": "c",
        "evidence": "e",
        "labels": ["KB0001", "KB0002"],
        "articles": {"KB0001": Offer(label="KB0001", runbook=UNLOCK), "KB0002": Offer(label="KB0002")},
        "runbooks": [UNLOCK],
    }
    return routing.gate(**{**given, **changes}).hash  # type: ignore[arg-type]  # the test changes one part at a time


@pytest.mark.parametrize(
    "change",
    [
        {"text": "u"},
        {"model": "n"},
        {"calibrator": "d"},
        {"evidence": "f"},
        {"runbooks": [UNLOCK, RUNBOOKS["add_to_group"]]},
        {
            "articles": {
                "KB0001": Offer(label="KB0001", runbook=UNLOCK),
                "KB0002": Offer(label="KB0002", runbook=UNLOCK),
            }
        },
        {"runbooks": [UNLOCK.model_copy(update={"article_keys": ("other",)})]},
    ],
)
def test_any_change_of_the_gate_is_another_gate(change: dict[str, object]) -> None:
    assert gate_hash(**change) != gate_hash()


def test_another_least_probability_is_another_gate(monkeypatch: pytest.MonkeyPatch) -> None:
    before = gate_hash()
    monkeypatch.setattr(routing.selection, "WORTH_ASKING", 0.4)
    assert gate_hash() != before


def test_an_article_that_the_model_does_not_know_changes_no_gate() -> None:
    more = {"KB0001": Offer(label="KB0001", runbook=UNLOCK), "NEW": Offer(label="NEW", runbook=UNLOCK)}
    assert gate_hash(articles=more) == gate_hash()


def test_retiring_an_article_changes_no_gate_since_it_only_runs_less() -> None:
    retired = {"KB0001": Offer(label="KB0001", runbook=UNLOCK, live=False), "KB0002": Offer(label="KB0002")}
    assert gate_hash(articles=retired) == gate_hash()


@pytest.mark.parametrize(
    ("body", "attachments", "expected"),
    [
        ("see attachment", [{"name": "a.png"}], True),
        ("", [{"name": "a.png"}], True),
        ("see attachment", [], False),
        ("since this morning my account is locked after three tries", [{"name": "a.png"}], False),
        ("添付の画像をご確認ください。", [{"name": "a.png"}], True),
    ],
)
def test_an_attachment_is_the_content_where_the_body_says_next_to_nothing(
    body: str, attachments: list[object], *, expected: bool
) -> None:
    assert routing.attachment_is_content(body=body, attachments=attachments, text=TextPipeline()) is expected
