"""One attempt on history: registered and paid before any label is opened, by the code that serves tickets."""

import hashlib
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from classifier.text import Document
from runbooks.registry import RUNBOOKS
from runbooks.targets.directory import Account, create
from tests import factories, past, trained
from tests.factories import NOW
from triage import learning, prediction, serving
from triage.learning import HistoryRow, NotCertified, seen
from triage.models import Budget, Certificate, Customer, Decision, Mode, Registration, Release

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("lake")]

ALPHA = 0.05


@pytest.fixture
def release(tmp_path: Path) -> Release:
    """A release in force at a customer whose directory knows Ada."""
    customer = factories.customer(mode=Mode.AUTOMATE)
    for label in past.PROBLEMS:
        factories.article(key=label, runbook="unlock_account" if label == "unlock-account" else "")
    file = tmp_path / "directory.sqlite3"
    create(file, [Account(uid="ada", display_name="Ada Lovelace", mail="ada@example.org", locked=True)])
    factories.target(customer, kind="directory", settings=f'{{"path": "{file}"}}')
    made = trained.release(customer)
    remember(made, [])
    return made


def remember(release: Release, documents: list[Document]) -> None:
    """The release was trained on these texts."""
    Release.objects.filter(pk=release.pk).update(measures={"seen_sha256": seen.write(release, documents)})
    release.refresh_from_db()


def history(count: int = 200, *, seed: int = 21, labels: tuple[str, ...] = ("unlock-account",)) -> list[HistoryRow]:
    return [
        HistoryRow(
            document=document,
            label=label,
            cluster=hashlib.sha256(repr(document).encode()).hexdigest(),
            parameters={"account": "ada"} if label == "unlock-account" else None,
            requester="ada@example.org",
            fields={},
            at=NOW - timedelta(days=30, minutes=-number),
        )
        for number, (document, label) in enumerate(past.tickets(count, seed=seed, labels=labels))
    ]


def certify(release: Release, rows: list[HistoryRow], **values: object) -> Certificate:
    given = {"runbooks": ["unlock_account"], "alpha": ALPHA, "at": NOW, **values}
    return learning.certify(customer=release.customer, release=release, history=rows, **given)  # type: ignore[arg-type]  # a test may name any


def test_a_certificate_says_what_it_promises_for_how_long_and_what_breaks_it(release: Release) -> None:
    rows = history(190) + history(30, seed=5, labels=("vpn", "printer"))
    certificate = certify(release, rows)
    delta = 0.05 / 12
    assert (certificate.alpha, certificate.errors, certificate.basis) == (ALPHA, 0, "history")
    assert 100 <= certificate.n <= 190
    assert certificate.delta == pytest.approx(delta, abs=1e-8)
    assert certificate.upper_bound <= ALPHA
    assert 0 < certificate.threshold <= 1
    assert certificate.expires_at - certificate.issued_at == timedelta(days=90)
    assert (certificate.window_from, certificate.window_until) == (rows[0].at, rows[189].at)
    assert certificate.action_digests == {"unlock_account": RUNBOOKS["unlock_account"].action_digest}
    assert "at most 5 % of what this gate runs is wrong" in certificate.sentence
    assert "the imported history" in certificate.sentence
    assert len(certificate.breaks) > 3
    registration = certificate.registration
    assert registration.verdict is not None
    assert registration.verdict["certified"] is True
    assert (registration.gate, len(registration.plan["opened"])) == (certificate.gate, 220)
    assert set(registration.gate_parts["runbooks"]) == {"unlock_account"}
    assert Budget.objects.get().spent == pytest.approx(delta, abs=1e-8)


@pytest.mark.django_db(transaction=True)
def test_prediction_automates_under_the_certificate_that_certification_issued(release: Release) -> None:
    certificate = certify(release, history())
    row = history(1, seed=77)[0]
    source = factories.source(customer=release.customer)
    factories.ticket(source=source, subject=row.document.subject, body=row.document.body)
    prediction.classify_batch(at=NOW + timedelta(minutes=1), limit=10)
    decision = Decision.objects.get()
    assert (decision.mode, decision.certificate, decision.parameters) == (
        Mode.AUTOMATE,
        certificate,
        {"account": "ada"},
    )


def wrong(rows: list[HistoryRow], count: int, **changes: object) -> list[HistoryRow]:
    return [replace(row, **changes) if n < count else row for n, row in enumerate(rows)]  # type: ignore[arg-type]  # fields of HistoryRow


@pytest.mark.parametrize(
    "changes",
    [{"label": "vpn"}, {"label": None}, {"parameters": {"account": "bob"}}],
    ids=["another article", "no article", "another account"],
)
def test_wrong_runs_in_history_are_refused_and_charged_all_the_same(
    release: Release, changes: dict[str, object]
) -> None:
    with pytest.raises(NotCertified, match="Not certified: at the threshold that came nearest"):
        certify(release, wrong(history(), 60, **changes))
    registration = Registration.objects.get()
    assert registration.verdict is not None
    assert registration.verdict["certified"] is False
    assert registration.opened_at == NOW
    assert Budget.objects.get().spent > 0
    assert not Certificate.objects.exists()


def test_parameters_that_nobody_knows_are_not_counted_as_wrong(release: Release) -> None:
    assert certify(release, [replace(row, parameters=None) for row in history()]).errors == 0


def test_rows_that_prediction_would_not_run_do_not_count_for_the_certificate(release: Release) -> None:
    unknown = [replace(row, requester="nobody@example.org") for row in history(180, seed=22)]
    with pytest.raises(NotCertified, match=r"needs at least \d+ clusters") as refused:
        certify(release, history(100) + unknown)
    assert "What kept most of the others from running: account (180 times)." in str(refused.value)
    assert refused.value.needed is not None
    assert refused.value.needed > 280
    assert not Budget.objects.exists()
    assert not Registration.objects.exists()


def test_a_storm_of_equal_alerts_is_one_observation(release: Release) -> None:
    storm = [replace(row, cluster="one") for row in history()]
    with pytest.raises(NotCertified, match=r"needs at least \d+ clusters"):
        certify(release, storm)


def test_what_training_saw_certifies_nothing(release: Release) -> None:
    rows = history()
    other = trained.release(release.customer, status=Release.Status.CANDIDATE)
    remember(other, [row.document for row in rows[:100]])
    with pytest.raises(NotCertified, match="Of 100 past tickets that are new to the model"):
        certify(other, rows)


def test_after_training_on_dated_labels_only_newer_rows_certify(release: Release) -> None:
    rows = history()
    Release.objects.update(measures={**release.measures, "labels_table_version": 3}, trained_until=rows[49].at)
    release.refresh_from_db()
    assert certify(release, rows).window_from == rows[50].at


def test_rows_that_an_attempt_opened_are_spent_for_every_later_one(release: Release) -> None:
    rows = history()
    certify(release, rows)
    with pytest.raises(NotCertified, match="Of 0 past tickets"):
        certify(release, rows)
    assert certify(release, rows + history(200, seed=23)).n <= 200


def test_an_attempt_that_the_years_budget_does_not_hold_opens_no_label(release: Release) -> None:
    Budget.objects.create(customer=release.customer, year=NOW.year, limit=0.05, spent=0.049)
    with pytest.raises(NotCertified, match="only 0.001 of this year's 0.05 is left"):
        certify(release, history())
    assert not Registration.objects.exists()
    assert Budget.objects.get().spent == 0.049


def test_a_year_pays_for_twelve_attempts_and_the_next_one_begins_anew(release: Release) -> None:
    customer = release.customer
    for month in range(12):
        certify(release, history(200, seed=100 + month))
    with pytest.raises(NotCertified, match="of this year's 0.05"):
        certify(release, history(200, seed=99))
    assert Budget.objects.get(customer=customer).spent <= 0.05 + 1e-12
    assert certify(release, history(200, seed=98), at=NOW + timedelta(days=60)).issued_at.year == NOW.year + 1


def test_what_cannot_be_certified_at_all_is_said_before_anything_is_charged(release: Release) -> None:
    with pytest.raises(NotCertified, match="There is no runbook format_disk; there is .*unlock_account"):
        certify(release, history(), runbooks=["format_disk"])
    with pytest.raises(NotCertified, match="Name at least one runbook"):
        certify(release, history(), runbooks=[])
    with pytest.raises(NotCertified, match="belongs to another customer"):
        learning.certify(
            customer=factories.customer(),
            release=release,
            runbooks=["unlock_account"],
            alpha=ALPHA,
            history=history(),
            at=NOW,
        )
    with pytest.raises(NotCertified, match="alpha must lie strictly between 0 and 1"):
        certify(release, history(), alpha=1.0)
    with pytest.raises(NotCertified, match=r"needs at least \d+ clusters"):
        certify(release, [])
    Customer.objects.update(yearly_delta=0.0)
    release.customer.refresh_from_db()
    with pytest.raises(NotCertified, match="yearly must lie strictly between 0 and 1"):
        certify(release, history())
    assert not Budget.objects.exists()


def test_a_model_that_cannot_be_opened_is_not_certified(release: Release) -> None:
    other = trained.release(release.customer, status=Release.Status.CANDIDATE)
    trained.damage(serving.folder_of(other) / "model.bin")
    with pytest.raises(NotCertified, match="The model cannot be opened"):
        certify(other, history())
