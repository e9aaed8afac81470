"""An article that no ticket taught is suggested by its text, kept with its provenance, and never acted on."""

import time
from dataclasses import dataclass
from pathlib import Path

import pytest
from django.utils import timezone

from classifier.articles import Placed
from classifier.text import Document
from runbooks.registry import RUNBOOKS
from runbooks.targets.directory import Account, create
from tests import factories, past, trained
from tests.factories import NOW
from triage import prediction, serving
from triage.environment import environment
from triage.models import Approval, Article, Customer, Decision, Mode, Prediction, Release, Run, Source, Ticket
from triage.serving import new_articles

pytestmark = pytest.mark.django_db(transaction=True)

LOCKED = Document("unlock office", "hello, my account is locked after too many failed sign-ins in the office regards")
BADGE = Document("badge", "my badge does not open the turnstile at the gate, the reader stays red")


@dataclass
class Scene:
    """A customer in automate mode whose certificate covers unlocking accounts, and its one source."""

    customer: Customer
    source: Source
    release: Release

    def ticket(self, document: Document) -> Ticket:
        given = {"subject": document.subject, "body": document.body, "source": self.source, "channel": "portal"}
        return factories.ticket(**given)

    def suggested(self, document: Document = BADGE) -> list[str]:
        """Labels of the new articles that are suggested for a text."""
        return [one.label for one in (*self.placed(document).in_front, *self.placed(document).after)]

    def placed(self, document: Document = BADGE) -> Placed:
        model = serving.load(self.release)
        return serving.suggest_new(model, model.classifier.rank([document]))[0]


@pytest.fixture
def scene(tmp_path: Path) -> Scene:
    customer = factories.customer(mode=Mode.AUTOMATE)
    for label in past.PROBLEMS:
        factories.article(key=label, runbook="unlock_account" if label == "unlock-account" else "")
    ada = Account(uid="ada", display_name="Ada Lovelace", mail="ada@example.org", locked=True)
    create(tmp_path / "directory.sqlite3", [ada])
    factories.target(customer, kind="directory", settings=f'{{"path": "{tmp_path / "directory.sqlite3"}"}}')
    release = trained.release(customer)
    pool = [RUNBOOKS["unlock_account"]]
    with serving.offered(customer) as articles:
        gate = serving.gate(serving.load(release), pool=pool, articles=articles).hash
    digests = {"unlock_account": RUNBOOKS["unlock_account"].action_digest}
    factories.certificate(release, gate=gate, action_digests=digests)
    return Scene(customer, factories.source(customer=customer), release)


def badge(**values: object) -> Article:
    given = {
        "key": "badge",
        "title": "Badge does not open the turnstile",
        "symptoms": "The reader at the gate stays red although the badge is valid.",
    }
    return factories.article(**{**given, **values})


def test_a_ticket_of_a_new_article_is_suggested_with_it_and_says_why(scene: Scene) -> None:
    badge()
    ticket = scene.ticket(BADGE)
    prediction.classify_batch(at=NOW, limit=10)
    stored = Prediction.objects.get()
    ticket.refresh_from_db()
    (found,) = stored.new_articles
    assert (found["label"], found["source"], found["in_front"]) == ("badge", "text", True)
    assert 0.3 < found["likeness"] <= 1
    assert {match["source"] for match in stored.matches} == {"labels"}
    assert "badge" not in {match["label"] for match in stored.matches}
    assert ticket.status == Ticket.Status.NEEDS_REVIEW


def test_whatever_it_leads_to_a_new_article_is_neither_run_nor_offered_for_approval(scene: Scene) -> None:
    badge(key="locked", title=LOCKED.body, symptoms=LOCKED.body, runbook="unlock_account")
    badge(runbook="unlock_account")
    Customer.objects.update(mode=Mode.AUTOMATE)
    scene.ticket(BADGE)
    prediction.classify_batch(at=NOW, limit=10)
    decision = Decision.objects.get()
    assert Prediction.objects.get().new_articles[0]["label"] == "badge"
    assert (decision.mode, decision.runbook) == (Mode.SUGGEST, "")
    assert decision.article in past.PROBLEMS
    assert not Run.objects.exists()
    assert not Approval.objects.exists()


def test_new_articles_and_edited_texts_change_nothing_in_what_is_automated(scene: Scene) -> None:
    scene.ticket(LOCKED)
    assert len(prediction.classify_batch(at=NOW, limit=10).runs) == 1
    before = Decision.objects.get()
    badge()
    badge(key="twin", title="My account is locked after too many failed sign-ins", symptoms=LOCKED.body)
    Article.objects.filter(key="unlock-account").update(title="Another title", body="Another body.")
    Run.objects.update(status=Run.Status.SUCCEEDED)
    second = scene.ticket(Document(LOCKED.subject, LOCKED.body + " "))
    assert len(prediction.classify_batch(at=NOW, limit=10).runs) == 1
    after = Decision.objects.get(ticket=second)
    assert (after.mode, after.article, after.certificate) == (before.mode, before.article, before.certificate)
    assert (after.mode, after.article) == (Mode.AUTOMATE, "unlock-account")
    assert "twin" in [row["label"] for row in Prediction.objects.get(ticket_id=second.pk).new_articles]


def test_a_ticket_read_apart_gets_its_new_articles_too(scene: Scene) -> None:
    badge()
    ticket = scene.ticket(BADGE)
    Ticket.objects.filter(pk=ticket.pk).update(attempts=1)
    prediction.classify_batch(at=NOW, limit=10)
    assert [row["label"] for row in Prediction.objects.get().new_articles] == ["badge"]


def test_what_tickets_taught_is_the_models_and_not_new(scene: Scene) -> None:
    assert scene.suggested(LOCKED) == []
    Article.objects.filter(key="printer").update(title=BADGE.body)
    assert scene.suggested() == []


def test_an_article_is_found_and_lost_as_it_is_written_changed_and_retired(scene: Scene) -> None:
    assert scene.suggested() == []
    article = badge(title="Something else", symptoms="Entirely")
    assert scene.suggested() == []
    article.title = "Badge does not open the turnstile at the gate"
    article.save()
    assert scene.suggested() == ["badge"]
    Article.objects.filter(pk=article.pk).update(retired_at=timezone.now())
    assert scene.suggested() == []


def test_a_customers_own_article_replaces_the_shared_one_and_others_never_see_it(scene: Scene) -> None:
    own = badge(key="own", translation_group="badge", customer=scene.customer, title="Own", symptoms="Nothing alike")
    badge()
    assert scene.suggested() == []
    own.delete()
    assert scene.suggested() == ["badge"]
    badge(key="own", translation_group="badge", customer=scene.customer, retired_at=timezone.now())
    assert scene.suggested() == []
    Article.objects.filter(translation_group="badge").delete()
    badge(customer=factories.customer())
    assert scene.suggested() == []


def test_translations_of_one_article_are_suggested_once(scene: Scene) -> None:
    badge()
    badge(key="badge-de", translation_group="badge", language="de", title="Ausweis öffnet die Schranke nicht")
    assert scene.suggested() == ["badge"]
    assert scene.suggested(Document("", "mein Ausweis öffnet die Schranke am Tor nicht")) == ["badge"]


def test_where_reading_articles_anew_is_slow_older_texts_serve_meanwhile_but_no_retired_ones(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(new_articles, "QUICK", 0.0)
    monkeypatch.setattr(new_articles, "BUSY", 1e-6)
    first = badge(key="first")
    assert scene.suggested() == ["first"]
    badge(key="second")
    assert scene.suggested() == ["first"]
    Article.objects.filter(pk=first.pk).update(retired_at=timezone.now())
    assert scene.suggested() == []
    much_later = time.monotonic() + 1e9
    monkeypatch.setattr(time, "monotonic", lambda: much_later)
    assert scene.suggested() == ["second"]


def test_of_too_many_new_articles_the_last_changed_are_matched(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(new_articles, "MOST", 2)
    rows = [badge(key=key) for key in ("one", "two", "three")]
    assert sorted(scene.suggested()) == ["three", "two"]
    rows[0].save()
    assert sorted(scene.suggested()) == ["one", "three"]


def test_as_many_customers_matchers_are_kept_as_models(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(environment(), "model_cache", 1)
    badge()
    assert scene.suggested() == ["badge"]
    other = factories.customer()
    another = Scene(other, factories.source(customer=other), trained.release(other))
    assert another.suggested() == ["badge"]
    assert [key[0] for key in new_articles._matchers] == [other.pk]
