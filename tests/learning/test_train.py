"""Training makes a signed, measured candidate from the lake's labels, or says what is missing."""

import json
from datetime import timedelta

import pytest

from classifier import artifact
from classifier.estimator import ArticleClassifier
from classifier.fasttext_model import FastTextModel
from classifier.profiles import PROFILES
from classifier.text import Document
from tests import factories, past
from tests.factories import NOW
from triage import learning, serving
from triage.lake import here, layout
from triage.lake.errors import Damaged
from triage.learning import labelled, seen
from triage.models import AuditEvent, Customer, Job, Label, Release

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("lake")]


def articles() -> None:
    for label in past.PROBLEMS:
        factories.article(key=label)


def carry(customer: Customer, labels: list[Label]) -> int:
    """Put labels into the lake's table as landing does."""
    rows = [
        {
            "uuid": label.uuid,
            "subject": label.subject,
            "body": label.body,
            "article": label.article,
            "provenance": label.provenance,
            "draw_purpose": label.draw_purpose,
            "made_at": label.made_at,
            "withdrawn_at": label.withdrawn_at,
        }
        for label in labels
    ]
    return here.tables().append("labels", customer=str(customer.uuid), rows=rows, at=NOW)


def written(customer: Customer, rows: list[tuple[Document, str]], **values: object) -> list[Label]:
    return [
        factories.label(customer, subject=document.subject, body=document.body, article=label, **values)
        for document, label in rows
    ]


def test_a_model_is_trained_from_the_tables_labels_and_says_which_version_it_saw() -> None:
    customer = factories.customer()
    articles()
    rows = past.tickets(130, seed=1)
    newest = NOW + timedelta(hours=3)
    labels = written(customer, rows[:120]) + written(customer, rows[120:], made_at=newest)
    version = carry(customer, [*labels, *written(customer, [(text, "") for text in past.outside()])])
    said: list[str] = []
    release = learning.train(customer=customer, at=NOW + timedelta(hours=4), progress=said.append)
    assert (release.status, release.trained_until) == (Release.Status.CANDIDATE, newest)
    assert release.measures["labels_table_version"] == version
    assert release.measures["out_of_scope"] > 10
    held_out = release.measures["held_out"]
    assert release.rows + len(held_out["right"]) + len(held_out["wrong"]) == 130
    assert 0.05 < 1 - release.rows / 130 < 0.3
    assert release.accuracy == len(held_out["right"]) / (len(held_out["right"]) + len(held_out["wrong"])) > 0.9
    assert said
    assert AuditEvent.objects.filter(subject="release", subject_id=release.pk, event="trained").exists()


def test_the_plain_baseline_is_measured_on_the_same_rows_and_a_profile_below_it_warns(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    customer, rows = factories.customer(), past.tickets(200, seed=1)
    good = learning.train(customer=customer, at=NOW, rows=rows)
    baseline = good.measures["baseline"]
    assert {*baseline["right"], *baseline["wrong"]} == {
        *good.measures["held_out"]["right"],
        *good.measures["held_out"]["wrong"],
    }
    assert baseline["accuracy"] > 0.9
    assert (good.measures["profile"], learning.below_baseline(good.measures)) == ("automatic", "")

    def weak() -> ArticleClassifier:
        family = FastTextModel(loss="softmax", dimensions=5, epochs=1, buckets=1000, learning_rate=0.01)
        return ArticleClassifier(fasttext=family, families="fasttext", folds=2)

    monkeypatch.setitem(PROFILES, "weak", weak)
    bad = learning.train(customer=customer, at=NOW, rows=rows, profile="weak")
    assert "train again without --profile weak" in learning.below_baseline(bad.measures)
    with pytest.raises(learning.PublishRefused, match="Below the baseline"):
        learning.publish(release=bad, actor="person:1", at=NOW)
    with pytest.raises(learning.TrainingRefused, match="there is no profile 'best'"):
        learning.train(customer=customer, at=NOW, rows=rows, profile="best")


def test_the_candidate_lies_signed_in_the_lake_and_opens_on_a_host_that_never_saw_it() -> None:
    customer = factories.customer()
    rows = past.tickets(100, seed=1)
    release = learning.train(customer=customer, at=NOW, rows=rows)
    prefix = layout.model_prefix(str(customer.uuid), release.version)
    names = [key.removeprefix(prefix) for key in here.store().list(prefix)]
    assert "manifest.json" in names
    manifest = json.loads(here.store().get(prefix + "manifest.json"))
    assert manifest["hmac"]
    assert manifest["metadata"] == {"customer": str(customer.uuid), "version": release.version}
    assert release.digest == manifest["digest"]
    folder = serving.folder_of(release)
    folder.rename(folder.with_name("away"))
    found = serving.load(release).classifier
    away = artifact.load(folder.with_name("away"), key=serving.model_key())
    documents = [document for document, _ in past.tickets(20, seed=9)]
    assert found.rank(documents) == away.rank(documents)


def test_what_is_held_out_is_never_trained_on_and_the_same_for_every_model() -> None:
    rows = past.tickets(400, seed=1)
    first, second = labelled.split(rows), labelled.split(list(reversed(rows))[:300])
    assert set(first.held_out).isdisjoint(first.train)
    assert 0.08 < len(first.held_out) / len(rows) < 0.22
    assert set(second.held_out) <= set(first.held_out)


def test_texts_that_differ_in_numbers_only_stay_on_one_side() -> None:
    rows = [(Document("disk", f"disk {i} of server srv{i}.example.org is full"), "disk") for i in range(200)]
    parts = labelled.split([*rows, *past.tickets(50, seed=1)])
    assert {len([row for row in side if row[1] == "disk"]) for side in (parts.train, parts.held_out)} == {0, 200}


def test_an_article_with_few_tickets_is_trained_on_all_of_them() -> None:
    many = [(document, "rare") for document, _ in past.tickets(60, seed=4)]
    held = labelled.split(many).held_out[0]
    assert held in labelled.split([held, *past.tickets(50, seed=1)]).train


def test_withdrawn_drawn_and_retired_labels_do_not_train_and_the_newest_word_counts() -> None:
    customer = factories.customer()
    articles()
    kept = written(customer, past.tickets(60, seed=1))
    gone = written(customer, past.tickets(5, seed=2), withdrawn_at=NOW)
    drawn = written(customer, past.tickets(7, seed=3), draw_purpose="holdout")
    retired = written(customer, [(Document("old", "an old system"), "article-of-old")])
    anew = written(customer, [(Document(kept[0].subject, kept[0].body), "vpn")], made_at=NOW + timedelta(days=1))
    carry(customer, [*kept, *gone, *drawn, *retired, *anew])
    found = labelled.labels_of(customer, at=NOW)
    assert len(found.rows) == 60
    assert found.dropped == {"withdrawn": 5, "drawn": 7, "article not offered": 1, "said anew": 1}
    assert (Document(kept[0].subject, kept[0].body), "vpn") in found.rows
    assert found.until == NOW + timedelta(days=1)


def test_another_customers_labels_are_never_read() -> None:
    customer, other = factories.customer(), factories.customer()
    articles()
    carry(other, written(other, past.tickets(60, seed=1)))
    assert labelled.labels_of(customer, at=NOW).rows == []
    with pytest.raises(learning.TrainingRefused, match="0 labelled tickets of 0 articles are too few"):
        learning.train(customer=customer, at=NOW)
    assert not Release.objects.exists()


def test_too_little_to_train_on_is_refused_in_words() -> None:
    customer = factories.customer()
    same = [(Document("a", "b"), "x")] * 30 + [(Document("c", "d"), "y")] * 30
    with pytest.raises(learning.TrainingRefused, match="cannot be trained on"):
        learning.train(customer=customer, at=NOW, rows=same)
    with pytest.raises(learning.TrainingRefused, match="10 labelled tickets"):
        learning.train(customer=customer, at=NOW, rows=past.tickets(10, seed=1))


def test_what_a_model_saw_is_remembered_and_cannot_be_changed_unnoticed() -> None:
    customer = factories.customer()
    rows, outside = past.tickets(80, seed=1), past.outside()
    release = learning.train(customer=customer, at=NOW, rows=rows, out_of_scope=outside)
    known = seen.read(release)
    parts = labelled.split(rows)
    assert {labelled.key_of(document) for document, _ in parts.train} <= known
    assert {labelled.key_of(document) for document in outside} <= known
    assert {labelled.key_of(document) for document, _ in parts.held_out}.isdisjoint(known)
    key = next(key for key in here.store().list("models/") if key.endswith(f"{release.version}.seen.txt"))
    here.store().put(key, b"")
    with pytest.raises(Damaged, match="does not hold what was written"):
        seen.read(release)


def test_a_job_trains_once_and_tells_how_it_went() -> None:
    customer = factories.customer()
    articles()
    job = Job.objects.create(name="train", kind="train", customer=customer, settings={"publish": True}, changed_at=NOW)
    assert learning.run_job(job.pk, at=NOW) is True
    job.refresh_from_db()
    assert (job.status, job.progress.startswith("0 labelled tickets")) == (Job.Status.FAILED, True)
    carry(customer, written(customer, past.tickets(80, seed=1)))
    Job.objects.update(status=Job.Status.WAITING)
    assert learning.run_job(job.pk, at=NOW) is True
    job.refresh_from_db()
    assert (job.status, job.progress.endswith("in force")) == (Job.Status.DONE, True)
    assert Release.objects.get().status == Release.Status.IN_FORCE
    assert learning.run_job(job.pk, at=NOW) is False


def test_a_job_that_another_holds_is_left_alone_until_its_lease_ends() -> None:
    customer = factories.customer()
    job = Job.objects.create(
        name="train",
        kind="train",
        customer=customer,
        status=Job.Status.LEASED,
        leased_until=NOW + timedelta(hours=1),
        changed_at=NOW,
    )
    assert learning.run_job(job.pk, at=NOW) is False
    assert learning.run_job(job.pk, at=NOW + timedelta(hours=2)) is True
