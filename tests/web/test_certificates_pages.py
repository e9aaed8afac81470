"""Certificates on the pages: the promise whole, what others lack in words, and a curve that can issue nothing."""

import re
from datetime import timedelta
from typing import Any

import pytest
from django.urls import get_resolver, reverse
from django.utils import timezone

from classifier import monitor
from classifier.bounds import monthly_delta, sample_size
from tests import factories
from tests.web.conftest import client_of
from tests.web.scene import Scene
from triage.models import (
    ArticleCount,
    Budget,
    Certificate,
    CertificateCount,
    Registration,
    Release,
    Tuning,
)
from triage.queries import certificates, risk

pytestmark = pytest.mark.django_db
CURVE = "certificate-curve"
# score, probability, right: 80 sure and right, 20 less sure of which 4 wrong, 100 below one half
ROWS = [[0.98, 0.99, 1]] * 80 + [[0.9, 0.92, 1]] * 16 + [[0.9, 0.92, 0]] * 4 + [[0.3, 0.4, 0]] * 100


@pytest.fixture
def release(scene: Scene) -> Release:
    """In force, with the rows that it was tuned on: articles KB0001 (unlock) and KB0003 (another runbook)."""
    made = factories.release(scene.nordwind, version="v-2", status="in_force")
    Tuning.objects.create(release=made, rows={"KB0001": ROWS, "KB0003": [[0.99, 0.99, 0]] * 50}, labels={"KB0001": 200})
    ArticleCount.objects.create(customer=scene.nordwind, article="KB0001", tickets=300, draws=37)
    return made


def test_a_certificate_says_everything_that_is_printed_on_it(scene: Scene, release: Release) -> None:
    made = factories.certificate(release, expires_at=timezone.now() + timedelta(days=60))
    Registration.objects.update(
        gate_parts={"model": "m" * 64, "text": "t" * 64, "runbooks": {"unlock_account": "s" * 64}}
    )
    CertificateCount.objects.create(certificate=made, runs=210, verified=20, wrong=1, missing=3)
    Budget.objects.create(customer=scene.nordwind, year=timezone.now().year, limit=0.05, spent=0.02)
    page = client_of(scene.agent).get(reverse("certificate", args=[made.uuid])).content.decode()
    for words in (
        made.sentence, "Confidence 99 %, alpha 5 %", "351", "imported history", "v-2", "0.127 % to 24.9 %",
        "Delta left this year</dt><dd>3 %", "drift within the window", "m" * 64, "s" * 64, "unlock account",
    ):  # fmt: skip
        assert words in page, words
    for factor in (2, 3):
        assert f"{factor} × alpha</dt><dd>{monitor.verifications_needed(alpha=0.05, factor=factor)}</dd>" in page
    assert "style=" not in page


def test_a_runbook_without_one_says_what_is_missing(scene: Scene, release: Release) -> None:
    page = client_of(scene.agent).get(reverse("certificates")).content.decode()
    needed = sample_size(alpha=0.05, delta=monthly_delta(yearly=0.05), starts=3)
    assert f"37 of {needed} draws are answered." in page
    assert "No ticket is drawn for the sealed holdout" in page  # the customer's share is 0
    factories.certificate(release, expires_at=timezone.now() + timedelta(days=60))
    runbooks = [row.runbook.key for row in certificates.lacking(scene.agent, customer=None, at=timezone.now())]
    assert "unlock_account" not in runbooks
    assert "raise_mailbox_quota" in runbooks


def test_a_stricter_customer_needs_more(scene: Scene, release: Release) -> None:
    def needed() -> int:
        rows = certificates.lacking(scene.agent, customer=scene.nordwind, at=timezone.now())
        return next(row.needed for row in rows if row.runbook.key == "unlock_account")

    before = needed()
    scene.nordwind.alpha_by_tier = {"low": 0.01}
    scene.nordwind.save(update_fields=["alpha_by_tier"])
    assert needed() > 4 * before


@pytest.mark.usefixtures("release")
class TestCurve:
    """alpha -> threshold -> coverage -> wrong runs a month -> cost, from tuning rows."""

    def test_the_figures_follow_from_the_rows(self, scene: Scene) -> None:
        found = risk.curve(scene.nordwind, "unlock_account")
        assert found
        assert found.rows == 200
        strict = risk.choice(found, alpha=0.01, cost_of_wrong=100, cost_of_ticket=10)
        loose = risk.choice(found, alpha=0.05, cost_of_wrong=100, cost_of_ticket=10)
        assert strict
        assert loose
        assert (strict.threshold, strict.coverage, strict.wrong_runs) == (0.98, 0.4, 0.0)
        assert (loose.threshold, loose.coverage, loose.wrong) == (0.9, 0.5, 0.04)
        assert (loose.runs, loose.wrong_runs, loose.cost, loose.saving) == (150, 6, 600, 1440)
        assert 0.04 < loose.bound < 0.1

    def test_nothing_below_one_half_ever_runs(self, scene: Scene) -> None:
        found = risk.curve(scene.nordwind, "unlock_account")
        assert found
        assert min(point[0] for point in found.points) == 0.9

    def test_it_works_without_scripts_and_in_parts(self, scene: Scene) -> None:
        client, path = client_of(scene.agent), reverse(CURVE, args=["nordwind", "unlock_account"])
        whole = client.get(path, {"alpha": "5", "wrong": "100", "ticket": "10"}).content.decode()
        piece = client.get(path, {"alpha": "5", "wrong": "100", "ticket": "10"}, headers={"HX-Request": "true"})
        assert '<input type="range"' in whole
        assert "<html" not in piece.content.decode()
        for page in (whole, piece.content.decode()):
            assert "Wrong runs a month, expected</dt><dd>6.0</dd>" in page
        assert re.search(r'<input type="range"[^>]* value="5"', whole)

    @pytest.mark.parametrize("alpha", ["", "x", "-3", "nan", "inf", "1e400", "99999", "0"])
    def test_an_odd_number_is_brought_within_bounds(self, scene: Scene, alpha: str) -> None:
        answer = client_of(scene.agent).get(reverse(CURVE, args=["nordwind", "unlock_account"]), {"alpha": alpha})
        assert answer.status_code == 200

    def test_held_out_draws_are_not_read(self, scene: Scene) -> None:
        before = risk.curve(scene.nordwind, "unlock_account")
        for ticket in scene.tickets[:3]:
            ticket.draw.delete()
            factories.draw(ticket, "holdout", 0.5)
            factories.review(ticket, scene.agent, article="KB0002", blind=True)
        assert risk.curve(scene.nordwind, "unlock_account") == before


def test_a_curve_without_rows_says_so(scene: Scene) -> None:
    page = client_of(scene.agent).get(reverse(CURVE, args=["nordwind", "unlock_account"])).content.decode()
    assert "No rows: no model is in force whose training kept them" in page


def test_no_address_of_certificates_takes_anything_but_reading(scene: Scene, release: Release) -> None:
    made = factories.certificate(release)
    scene.agent.is_superuser = True
    scene.agent.save(update_fields=["is_superuser"])
    client = client_of(scene.agent)
    kwargs: dict[str, dict[str, Any]] = {
        "certificate": {"uuid": made.uuid},
        CURVE: {"slug": "nordwind", "key": "unlock_account"},
    }
    names = [str(name) for name in get_resolver().reverse_dict if str(name).startswith("certificate")]
    assert set(names) == {"certificates", "certificate", CURVE}
    for name in names:
        path = reverse(name, kwargs=kwargs.get(name))
        for method in (client.post, client.put, client.patch, client.delete):
            assert method(path, {"alpha": "1"}).status_code == 405, name
        client.get(path, {"alpha": "1"})
    assert (Registration.objects.count(), Certificate.objects.count(), Budget.objects.count()) == (1, 1, 0)
