"""Doubtful labels: found by a training, kept, changed or dropped by a person, taken back, and never certifying."""

from datetime import timedelta

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from django.utils import timezone

from classifier.text import Document
from tests import factories, past, trained
from tests.web.conftest import client_of
from tests.web.scene import Scene
from triage.learning import HistoryRow, suspected
from triage.learning.certify import _fresh
from triage.learning.labelled import key_of, key_of_row
from triage.models import AuditEvent, Draw, Label, Person, Release, Role, Suspect

pytestmark = pytest.mark.django_db


@pytest.fixture
def steward(scene: Scene) -> Person:
    return factories.member(scene.nordwind, Role.STEWARD, username="stew")


@pytest.fixture
def release(scene: Scene) -> Release:
    return factories.release(scene.nordwind, status="in_force")


@pytest.fixture
def suspect(scene: Scene, release: Release) -> Suspect:
    label = factories.label(scene.nordwind, subject="Cannot print", body="Nothing prints.", landed_at=factories.NOW)
    return made(release, label, likely="KB0007")


def made(release: Release, label: Label, *, likely: str, place: int = 0) -> Suspect:
    values = {"given": label.article, "likely": likely, "probability": 0.91, "self_confidence": 0.02, "place": place}
    key = key_of(Document(label.subject, label.body))
    return Suspect.objects.create(customer=release.customer, release=release, label=label, text_key=key, **values)


def test_a_training_lists_the_labels_that_its_models_contradict(scene: Scene) -> None:
    rows, release = past.tickets(160, seed=1), factories.release(scene.nordwind)
    model = trained.model()
    numbers, _probabilities = model.out_of_fold_
    wrong = {int(number) for number in numbers[:5]}
    turned = [(document, _other(label) if n in wrong else label) for n, (document, label) in enumerate(rows)]
    labels = {
        key_of_row(row): factories.label(scene.nordwind, subject=row[0].subject, body=row[0].body, article=row[1])
        for row in turned
    }
    origins = {key: str(label.uuid) for key, label in labels.items()}
    found = suspected.suspects_of(release, model, rows=turned, origins=origins)
    assert {one.label for one in found} >= {labels[key_of_row(turned[number])] for number in wrong}
    assert all(one.probability > one.self_confidence and one.given != one.likely for one in found)
    assert [one.place for one in found] == list(range(len(found)))
    Suspect.objects.bulk_create(found)
    Suspect.objects.filter(place=0).update(answer="keep")
    again = suspected.suspects_of(release, model, rows=turned, origins=origins)
    assert found[0].label not in [one.label for one in again]
    assert suspected.suspects_of(release, model, rows=turned, origins={}) == []


def _other(label: str) -> str:
    labels = sorted(past.PROBLEMS)
    return labels[(labels.index(label) + 1) % len(labels)]


def test_the_page_shows_text_label_source_and_what_the_models_find(scene: Scene, suspect: Suspect) -> None:
    page = client_of(scene.agent).get(reverse("labels")).content.decode()
    for words in (
        "Cannot print",
        "Account locked after failed sign-ins",
        "Printer on the floor",
        "by desk",
        "91\N{NO-BREAK SPACE}%",
    ):
        assert words in page, words
    assert "Change to" not in page
    assert (
        client_of(scene.agent).post(reverse("label-decide", args=[suspect.pk]), {"answer": "drop"}).status_code == 403
    )
    assert "Cannot print" not in client_of(scene.stranger).get(reverse("labels")).content.decode()


def test_a_change_writes_a_label_that_trains_and_never_certifies_and_can_be_taken_back(
    steward: Person, suspect: Suspect
) -> None:
    client, path = client_of(steward), reverse("label-decide", args=[suspect.pk])
    client.post(path, {"answer": "change", "article": "KB0007"})
    old, new = Label.objects.order_by("pk")
    assert old.withdrawn_at
    assert old.landed_at is None, "the lake hears of the withdrawal"
    assert (new.article, new.provenance, new.subject) == ("KB0007", "noise-review", "Cannot print")
    assert (new.draw_purpose, new.draw_probability) == (Draw.Purpose.NONE, 0.0)
    client.post(path, {"answer": "drop"})  # somebody else's second press
    assert Suspect.objects.get().answer == "change"
    assert "changed" in client.get(reverse("labels")).content.decode()
    client.post(reverse("label-undo", args=[suspect.pk]))
    old.refresh_from_db()
    new.refresh_from_db()
    assert old.withdrawn_at is None
    assert new.withdrawn_at
    assert Suspect.objects.get().answer == "open"
    events = AuditEvent.objects.filter(subject="suspect").order_by("pk").values_list("event", "after", "actor")
    actor = f"person:{steward.pk}"
    assert list(events) == [("label judged", "change", actor), ("judgement undone", "change", actor)]


@pytest.mark.parametrize(("answer", "withdrawn"), [("keep", False), ("drop", True)])
def test_keeping_leaves_the_label_and_dropping_withdraws_it(
    steward: Person, suspect: Suspect, answer: str, withdrawn: bool
) -> None:
    client_of(steward).post(reverse("label-decide", args=[suspect.pk]), {"answer": answer})
    assert (Label.objects.get().withdrawn_at is not None) is withdrawn
    page = client_of(steward).get(reverse("labels")).content.decode()
    assert "Nothing to look at" in page


def test_an_article_that_the_customer_is_not_offered_is_refused(
    scene: Scene, steward: Person, suspect: Suspect
) -> None:
    factories.article(customer=scene.contoso, key="C1", translation_group="C1")
    answer = {"answer": "change", "article": "C1"}
    page = client_of(steward).post(reverse("label-decide", args=[suspect.pk]), answer, follow=True)
    assert "offered no article C1" in page.content.decode()
    assert Label.objects.get().withdrawn_at is None


def test_what_a_noise_review_opened_is_spent_for_every_certificate(scene: Scene, suspect: Suspect) -> None:
    document = Document(suspect.label.subject, suspect.label.body)
    rows = [
        HistoryRow(
            document=one,
            label="KB0007",
            cluster=one.subject,
            parameters=None,
            requester="",
            fields={},
            at=factories.NOW,
        )
        for one in (document, Document("Another", "text"))
    ]
    fresh = _fresh(rows, release=suspect.release, known=frozenset())
    assert [row.document.subject for row in fresh] == ["Another"]
    assert suspected.spent(scene.contoso) == frozenset()


def test_a_ticket_that_is_sealed_again_tells_nothing(scene: Scene, release: Release) -> None:
    label = factories.label(scene.nordwind, ticket=scene.blind, subject=scene.blind.subject)
    made(release, label, likely="KB0004")
    assert scene.blind.subject not in client_of(scene.agent).get(reverse("labels")).content.decode()


def test_only_the_newest_training_counts_and_queries_do_not_grow(scene: Scene, release: Release) -> None:
    client = client_of(scene.agent)
    counts = []
    for number in (1, 20):
        for place in range(number):
            made(
                release, factories.label(scene.nordwind, subject=f"text {number} {place}"), likely="KB0002", place=place
            )
        with CaptureQueriesContext(connection) as caught:
            client.get(reverse("labels"))
        counts.append(len(caught))
    assert counts[0] == counts[1] <= 16
    factories.release(scene.nordwind, created_at=timezone.now() + timedelta(days=1))
    assert "Nothing to look at" in client.get(reverse("labels")).content.decode()
