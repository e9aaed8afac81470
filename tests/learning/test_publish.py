"""A release comes into force when it opens, answers as it did and is not worse; and the one before can come back."""

import copy
import shutil
import threading
from collections.abc import Sequence
from datetime import timedelta
from typing import Any

import pytest
from django.db import connections

from classifier import artifact
from classifier.estimator import ArticleClassifier, Ranking
from classifier.text import Document
from tests import factories, past, trained
from tests.factories import NOW
from triage import learning, serving
from triage.learning.comparing import Outcomes, Paired
from triage.models import AuditEvent, Customer, Release

pytestmark = pytest.mark.django_db


def outcomes(right: int, wrong: int, *, first: int = 0) -> dict[str, list[str]]:
    """Rows numbered from `first`: right ones, then wrong ones."""
    keys = [f"{number:016x}" for number in range(first, first + right + wrong)]
    return {"right": keys[:right], "wrong": keys[right:]}


def candidate(customer: Customer, **measures: Any) -> Release:
    return trained.release(customer, status=Release.Status.CANDIDATE, in_force_at=None, measures=measures)


def in_force(customer: Customer, **measures: Any) -> Release:
    return trained.release(customer, measures=measures)


def publish(release: Release, **values: Any) -> None:
    learning.publish(release=release, **{"actor": "person:1", "at": NOW, **values})


def back(customer: Customer) -> Release:
    return learning.rollback(customer=customer, actor="person:1", at=NOW + timedelta(days=1))


def status(release: Release) -> str:
    return str(Release.objects.get(pk=release.pk).status)


def test_the_first_release_comes_into_force() -> None:
    release = candidate(factories.customer(), held_out=outcomes(9, 1))
    publish(release)
    assert (release.status, release.in_force_at) == (Release.Status.IN_FORCE, NOW)
    event = AuditEvent.objects.get(subject="release", subject_id=release.pk)
    assert (event.after, event.actor, event.reason) == ("in_force", "person:1", "The first release.")


def test_a_release_that_is_no_worse_replaces_the_one_in_force() -> None:
    customer = factories.customer()
    old, new = in_force(customer, held_out=outcomes(90, 10)), candidate(customer, held_out=outcomes(91, 9))
    publish(new)
    assert (status(old), status(new)) == ("retired", "in_force")
    assert "91.0 % of 100 rows that neither was trained on are right, 90.0 %" in new.reason


def test_a_worse_release_is_refused_with_the_figures() -> None:
    customer = factories.customer()
    old, new = in_force(customer, held_out=outcomes(960, 40)), candidate(customer, held_out=outcomes(950, 50))
    with pytest.raises(learning.PublishRefused) as refused:
        publish(new)
    assert str(refused.value) == (
        "The candidate is significantly worse: 95.0 % of 1000 rows that neither was trained on are right, 96.0 % with "
        "the release in force; only the new one is right on 0, only the old one on 10 (p = 0.000977)."
    )
    assert (status(old), status(new)) == ("in_force", "candidate")


def test_a_worse_release_is_published_by_force_and_the_log_says_so() -> None:
    customer = factories.customer()
    in_force(customer, held_out=outcomes(90, 10))
    new = candidate(customer, held_out=outcomes(60, 40))
    publish(new, force=True, actor="person:7")
    event = AuditEvent.objects.get(subject="release", subject_id=new.pk)
    assert event.actor == "person:7"
    assert event.reason.startswith("Published although: The candidate is significantly worse")


def test_a_release_below_the_plain_baseline_is_refused_even_as_the_first() -> None:
    release = candidate(factories.customer(), held_out=outcomes(80, 20), baseline=outcomes(90, 10))
    with pytest.raises(learning.PublishRefused) as refused:
        publish(release)
    assert str(refused.value).startswith(
        "Below the baseline: the model labels 80.0 % of 100 rows rightly, plain TF-IDF with LinearSVC 90.0 % (exact "
        "McNemar test, p = 0.00098)."
    )
    assert str(refused.value).endswith("To publish it all the same, use --force.")
    assert status(release) == "candidate"
    publish(release, force=True)
    assert release.reason.startswith("Published although: Below the baseline")


def test_what_chance_may_explain_is_not_below_the_baseline() -> None:
    release = candidate(factories.customer(), held_out=outcomes(80, 20), baseline=outcomes(84, 16))
    publish(release)
    assert status(release) == "in_force"


def test_releases_without_a_common_row_cannot_be_compared() -> None:
    customer = factories.customer()
    in_force(customer, held_out=outcomes(5, 5))
    with pytest.raises(learning.PublishRefused, match="cannot be compared"):
        publish(candidate(customer, held_out=outcomes(5, 5, first=50)))


def test_what_training_measured_beside_the_release_in_force_counts_before_older_figures() -> None:
    customer = factories.customer()
    old = in_force(customer, held_out=outcomes(10, 90))
    beside = {"version": old.version, **outcomes(100, 0)}
    with pytest.raises(learning.PublishRefused, match="significantly worse"):
        publish(candidate(customer, held_out=outcomes(80, 20), in_force=beside))
    publish(candidate(customer, held_out=outcomes(80, 20), in_force={**beside, "version": "another"}))


def test_a_release_in_force_is_not_published_again() -> None:
    with pytest.raises(learning.PublishRefused, match="in force already"):
        publish(in_force(factories.customer()))


class _OfAnotherMind(ArticleClassifier):
    """Whatever it is asked, it answers something else: a model whose files were exchanged under its golden set."""

    def rank(self, documents: Sequence[Document], k: int = 5) -> list[Ranking]:
        return super().rank([Document("", "printer") for _ in documents], k)


def test_a_model_that_answers_otherwise_than_when_it_was_made_never_comes_into_force() -> None:
    release = candidate(factories.customer())
    folder = serving.folder_of(release)
    shutil.rmtree(folder)
    changed = copy.copy(trained.model())
    changed.__class__ = _OfAnotherMind
    metadata = {"customer": str(release.customer.uuid), "version": release.version}
    artifact.save(changed, folder, key=serving.model_key(), golden=[Document("", "vpn")], metadata=metadata)
    with pytest.raises(
        learning.PublishRefused, match=r"does not answer as when it was made: .* 1 of 1 answers changed"
    ):
        publish(release, force=True)
    assert status(release) == "candidate"


@pytest.mark.usefixtures("lake")
def test_a_damaged_model_never_comes_into_force() -> None:
    release = candidate(factories.customer())
    trained.damage(serving.folder_of(release) / "linear.npz")
    trained.upload(release)
    with pytest.raises(learning.PublishRefused, match="cannot be used"):
        publish(release, force=True)
    assert status(release) == "candidate"


@pytest.mark.usefixtures("lake")
def test_a_candidate_that_learnt_wrong_labels_is_measured_beside_the_one_in_force_and_refused() -> None:
    customer = factories.customer()
    rows = past.tickets(160, seed=1)
    good = learning.train(customer=customer, at=NOW, rows=rows)
    publish(good)
    swapped = {"vpn": "printer", "printer": "vpn"}
    held = {document for document, _ in learning.labelled.split(rows).held_out}
    mixed = [(text, label if text in held else swapped.get(label, label)) for text, label in rows]
    bad = learning.train(customer=customer, at=NOW + timedelta(seconds=1), rows=mixed)
    assert bad.measures["in_force"]["version"] == good.version
    with pytest.raises(learning.PublishRefused, match="significantly worse"):
        publish(bad)


def test_rolling_back_twice_goes_further_back_and_never_to_what_was_rolled_back() -> None:
    customer = factories.customer()
    first, second = (
        trained.release(customer, status=Release.Status.RETIRED, in_force_at=NOW - timedelta(days=days))
        for days in (9, 8)
    )
    third = in_force(customer)
    assert back(customer) == second
    assert [status(release) for release in (first, second, third)] == ["retired", "in_force", "retired"]
    certificate = factories.certificate(first)
    assert back(customer) == first
    with pytest.raises(learning.RollbackRefused, match="was in force before"):
        back(customer)
    certificate.refresh_from_db()
    assert (certificate.release, certificate.revoked_at) == (first, None)


def test_without_a_release_in_force_there_is_nothing_to_roll_back() -> None:
    with pytest.raises(learning.RollbackRefused, match="so there is none to go back from"):
        learning.rollback(customer=factories.customer(), actor="person:1", at=NOW)


@pytest.mark.django_db(transaction=True)
def test_of_two_that_publish_at_once_one_release_is_in_force() -> None:
    customer = factories.customer()
    made = [candidate(customer, held_out=outcomes(9, 1)) for _ in range(2)]
    for release in made:
        serving.load(release)
    refused: list[str] = []

    def go(release: Release) -> None:
        try:
            publish(release)
        except learning.PublishRefused as error:
            refused.append(str(error))
        finally:
            connections.close_all()

    threads = [threading.Thread(target=go, args=(release,)) for release in made]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert Release.objects.filter(status=Release.Status.IN_FORCE).count() == 1
    assert refused in ([], ["Another release came into force at the same moment. Look again."])


def test_mcnemars_test_counts_only_rows_on_which_the_two_differ() -> None:
    new = Outcomes.from_dict({"right": ["a", "b", "c"], "wrong": ["d", "e"]})
    old = Outcomes.from_dict({"right": ["a", "d", "e"], "wrong": ["b", "x"]})
    paired = Paired.of(new, old)
    assert (paired.rows, paired.only_new, paired.only_old) == (4, 1, 2)
    assert paired.p == pytest.approx(0.5)  # P(Bin(3, 1/2) <= 1)


@pytest.mark.parametrize(
    ("rows", "only_new", "only_old", "worse"),
    [
        (1000, 0, 5, "significantly"),
        (1000, 0, 4, ""),  # p = 1/16, and four of a thousand are not material
        (1000, 100, 121, "materially"),
        (1000, 100, 119, ""),
        (40, 2, 5, "materially"),
        (40, 0, 2, ""),  # 5 %, but two rows
        (40, 5, 2, ""),
    ],
)
def test_worse_is_what_luck_does_not_explain_or_what_costs_too_much(
    rows: int, only_new: int, only_old: int, worse: str
) -> None:
    both = rows - only_new - only_old
    paired = Paired(rows, only_new, only_old, (both + only_new) / rows, (both + only_old) / rows)
    assert paired.worse.startswith(f"The candidate is {worse} worse" if worse else "")
    assert bool(paired.worse) is bool(worse)
