"""A prediction is what the pipeline would decide, and leaves no trace; sealed texts stay sealed."""

from dataclasses import dataclass
from pathlib import Path

import pytest
from django.apps import apps
from django.utils import timezone

from runbooks.targets.directory import Account, create
from tests import factories, past, trained
from tests.api.caller import Caller, problem
from triage import prediction
from triage.api import predictions
from triage.models import Customer, Decision, KeptAnswer, Mode, Person, Prediction, Source, Token

pytestmark = pytest.mark.django_db
LOCKED = {
    "subject": "unlock office",
    "body": "hello, my account is locked after too many failed sign-ins in the office regards",
    "requester": "ada@example.org",
}
PRINTER = {"subject": "printer office", "body": "hello, the printer on our floor shows a paper jam in the office"}


@dataclass
class Desk:
    """A customer with a model in force, articles and a directory, and an agent's program."""

    customer: Customer
    source: Source
    agent: Person
    caller: Caller


@pytest.fixture
def desk(db: None, tmp_path: Path) -> Desk:
    customer = factories.customer(mode=Mode.AUTOMATE)
    for label in past.PROBLEMS:
        factories.article(key=label, runbook="unlock_account" if label == "unlock-account" else "")
    ada = Account(uid="ada", display_name="Ada Lovelace", mail="ada@example.org", locked=True)
    create(tmp_path / "directory.sqlite3", [ada])
    factories.target(customer, kind="directory", settings=f'{{"path": "{tmp_path / "directory.sqlite3"}"}}')
    trained.release(customer)
    agent = factories.member(customer)
    return Desk(customer, factories.source(customer=customer), agent, Caller(agent))


def test_it_tells_what_the_pipeline_then_decides(desk: Desk) -> None:
    answer = desk.caller.post(
        "/predict", {"customer": desk.customer.slug, "source": desk.source.slug, "channel": "portal", **LOCKED}
    )
    assert answer.status_code == 200, answer.content
    (told,) = answer.json()["items"]
    at = timezone.now()
    ticket = factories.ticket(source=desk.source, channel="portal", updated_at=at, **LOCKED)
    prediction.classify_batch(at=at, limit=10)
    stored, decided = Prediction.objects.get(ticket_id=ticket.pk), Decision.objects.get(ticket=ticket)
    assert answer.json()["release"] == stored.release
    assert [(one["label"], one["probability"]) for one in told["matches"]] == [
        (one["label"], one["probability"]) for one in stored.matches
    ]
    assert told["matches"][0]["title"] == "Article unlock-account"
    assert (told["score"], told["evidence"]) == (stored.score, stored.evidence)
    assert told["decision"] == {
        "mode": decided.mode,
        "article": decided.article,
        "runbook": decided.runbook,
        "parameters": decided.parameters,
        "certificate": None,
        "people_needed": 1,
        "reason": decided.reason,
    }
    assert told["decision"]["parameters"] == {"account": "ada"}


def test_nothing_is_stored(desk: Desk) -> None:
    kept_apart = {Token, KeptAnswer}

    def rows() -> dict[str, int]:
        return {
            model.__name__: model._default_manager.count() for model in apps.get_models() if model not in kept_apart
        }

    before = rows()
    texts = [LOCKED, PRINTER, {"subject": "", "body": "\x00 \ufffd"}] * 50
    answer = desk.caller.post("/predict", {"customer": desk.customer.slug, "tickets": texts}, Idempotency_Key="k")
    items = answer.json()["items"]
    assert len(items) == 150
    assert [item["matches"][0]["label"] for item in items[:2]] == ["unlock-account", "printer"]
    assert items[0] == items[3], "batches do not matter"
    assert rows() == before
    assert not KeptAnswer.objects.exists(), "texts that were asked about are kept nowhere"


def test_a_text_under_a_blind_check_stays_sealed(desk: Desk) -> None:
    ticket = factories.ticket(source=desk.source, subject=LOCKED["subject"], body=LOCKED["body"])
    factories.draw(ticket, "holdout", 0.5)
    asked = {
        "customer": desk.customer.slug,
        "tickets": [LOCKED, PRINTER, {"body": f"{LOCKED['subject']}\n{LOCKED['body']}"}],
    }
    sealed, open_, joined = desk.caller.post("/predict", asked).json()["items"]
    for one in (sealed, joined):
        assert one["sealed"] is True
        assert (one["matches"], one["new_articles"], one["evidence"], one["decision"], one["score"]) == (
            [], [], None, None, None,
        )  # fmt: skip
    assert (open_["sealed"], open_["matches"][0]["label"]) == (False, "printer")


def test_size_and_reach_are_bounded(desk: Desk) -> None:
    slug = desk.customer.slug
    assert "1000" in problem(desk.caller.post("/predict", {"customer": slug, "tickets": [{}] * 1001}), 422)
    assert "tickets" in problem(desk.caller.post("/predict", {"customer": slug, "body": "x", "tickets": [{}]}), 422)
    problem(desk.caller.post("/predict", {"customer": factories.customer().slug, "body": "x"}), 404)
    other = factories.source()
    problem(desk.caller.post("/predict", {"customer": slug, "source": other.slug, "body": "x"}), 404)
    problem(Caller(desk.agent, "tickets:read").post("/predict", {"customer": slug, "body": "x"}), 403)
    with predictions.turn(), predictions.turn():
        predictions.PATIENCE, patience = 0.01, predictions.PATIENCE
        try:
            assert "at once" in problem(desk.caller.post("/predict", {"customer": slug, "body": "x"}), 503)
        finally:
            predictions.PATIENCE = patience


def test_without_a_model_it_says_so(db: None) -> None:
    customer = factories.customer()
    (told,) = (
        Caller(factories.member(customer)).post("/predict", {"customer": customer.slug, "body": "x"}).json()["items"]
    )
    assert (told["matches"], told["decision"]["reason"]) == ([], "There is no model yet for this customer.")
