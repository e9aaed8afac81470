"""Models on the pages: figures, comparison, promotion and the way back, each once and by whom it may."""

import re
from datetime import timedelta
from pathlib import Path

import pytest
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from classifier.text import Document
from tests import factories, past, trained
from tests.web.conftest import client_of
from tests.web.scene import Scene
from triage import learning
from triage.learning.differing import compare
from triage.learning.tuned import tuning_of
from triage.models import AuditEvent, Comparison, Job, Person, Release, Role, Tuning

pytestmark = pytest.mark.django_db
BETTER = {"held_out": {"right": ["a", "b", "c"], "wrong": ["d"]}, "profile": "automatic"}
OLDER = {"held_out": {"right": ["a", "b"], "wrong": ["c", "d"]}, "profile": "automatic"}


@pytest.fixture
def steward(scene: Scene) -> Person:
    return factories.member(scene.nordwind, Role.STEWARD, username="stew")


@pytest.fixture
def old(scene: Scene) -> Release:
    return trained.release(scene.nordwind, version="v-1", measures=OLDER)


@pytest.fixture
def new(scene: Scene, old: Release) -> Release:
    return trained.release(scene.nordwind, version="v-2", status="candidate", in_force_at=None, measures=BETTER)


def path(name: str, release: Release) -> str:
    return reverse(name, args=[release.customer.slug, release.version])


def in_force() -> str:
    return Release.objects.get(status="in_force").version


def log() -> list[tuple[str, str, str]]:
    rows = AuditEvent.objects.filter(subject="release", event="status").order_by("pk")
    return list(rows.values_list("before", "after", "actor"))


def test_promoting_says_first_what_changes_and_happens_once(steward: Person, old: Release, new: Release) -> None:
    factories.certificate(old)
    client = client_of(steward)
    shown = client.get(path("model-promote", new)).content.decode()
    for words in (
        "v-2 answers in place of v-1",
        "No longer runs by itself: Unlock an account",
        "no certificate of its own",
    ):
        assert words in shown, words
    assert in_force() == "v-1"  # to look changes nothing
    for _ in range(2):
        assert client.post(path("model-promote", new)).status_code == 302
    assert in_force() == "v-2"
    who = f"person:{steward.pk}"
    assert log() == [("in_force", "retired", who), ("candidate", "in_force", who)]
    assert client.get(path("model-promote", new))["Location"] == path("model", new)


def test_rolling_back_brings_the_certificates_back_and_a_second_press_goes_no_further(
    steward: Person, old: Release, new: Release
) -> None:
    trained.release(old.customer, version="v-0", status="retired", in_force_at=factories.NOW.replace(year=2025))
    factories.certificate(old, expires_at=timezone.now() + timedelta(days=5))
    Release.objects.filter(pk=old.pk).update(status="retired")
    Release.objects.filter(pk=new.pk).update(status="in_force", in_force_at=timezone.now())
    client = client_of(steward)
    assert "Roll back to v-1" in client.get(path("model", new)).content.decode()
    assert "count again: Unlock an account" in client.get(path("model-roll-back", new)).content.decode()
    for _ in range(2):
        client.post(path("model-roll-back", new))
    assert in_force() == "v-1"
    with pytest.raises(learning.RollbackRefused, match="no longer in force"):
        learning.rollback(customer=old.customer, actor="person:1", at=timezone.now(), leaving=new)


def test_a_worse_model_is_refused_with_the_figures(steward: Person, old: Release, new: Release) -> None:
    worse = {"held_out": {"right": ["a"], "wrong": [f"w{n}" for n in range(60)]}}
    better = {"held_out": {"right": ["a", *(f"w{n}" for n in range(60))], "wrong": []}}
    Release.objects.filter(pk=new.pk).update(measures=worse)
    Release.objects.filter(pk=old.pk).update(measures=better)
    client = client_of(steward)
    assert "significantly worse" in client.get(path("model-promote", new)).content.decode()
    client.post(path("model-promote", new))
    assert in_force() == "v-1"
    assert "significantly worse" in client.get(path("model", new)).content.decode()


@pytest.mark.parametrize("role", [Role.AGENT, Role.APPROVER, Role.AUDITOR])
def test_others_look_and_change_nothing(scene: Scene, old: Release, new: Release, role: str) -> None:
    client = client_of(factories.member(scene.nordwind, role, username="looks"))
    page = client.get(path("model", new)).content.decode()
    assert "v-2" in page
    assert path("model-promote", new) not in page
    for name in ("model-promote", "model-roll-back", "model-compare"):
        assert client.post(path(name, new), {"with": "v-1"}).status_code == 403
    assert client.post(reverse("model-train", args=["nordwind"])).status_code == 403
    assert in_force() == "v-1"
    assert not Job.objects.filter(kind__in=["train", "compare"]).exists()


def test_a_training_is_asked_for_once_and_its_progress_is_shown(scene: Scene, steward: Person) -> None:
    client, train = client_of(steward), reverse("model-train", args=["nordwind"])
    for _ in range(2):
        client.post(train)
    job = Job.objects.get(kind="train")
    assert (job.customer, job.status) == (scene.nordwind, "waiting")
    assert AuditEvent.objects.filter(event="train asked for", actor=f"person:{steward.pk}").count() == 1
    Job.objects.filter(pk=job.pk).update(status="failed", progress="20 labels are too few")
    part = client.get(reverse("models"), headers={"HX-Request": "true"}).content.decode()
    assert "20 labels are too few" in part
    assert "<html" not in part
    client.post(train)
    job.refresh_from_db()
    assert (job.status, job.progress) == ("waiting", "")


def test_figures_and_the_diagram_come_from_rows_that_the_models_had_not_seen(
    scene: Scene, steward: Person, old: Release
) -> None:
    labels = [label for _, label in past.tickets(160, seed=1)]
    made = tuning_of(old, trained.model(), labels=labels)
    made.save()
    rows = [row for each in made.rows.values() for row in each]
    assert 100 < len(rows) <= 160
    assert sum(row[2] for row in rows) / len(rows) == pytest.approx(made.report["accuracy"], abs=0.03)
    assert all(0 <= score <= probability + 1e-4 <= 1.0002 for score, probability, _right in rows)
    page = client_of(steward).get(path("model", old)).content.decode()
    for words in (
        "How often a predicted probability comes true",
        "Calibration error, out of fold",
        "Linear family alone",
    ):
        assert words in page, words
    assert 'class="drawing"' in page
    assert not re.search(r"\sstyle=", page)


def test_a_release_whose_rows_were_not_kept_says_so(steward: Person, old: Release) -> None:
    assert not Tuning.objects.exists()
    assert "no out-of-fold rows were kept" in client_of(steward).get(path("model", old)).content.decode()


class TestComparing:
    """Which tickets another release would answer otherwise."""

    @pytest.fixture
    def client(self, steward: Person) -> Client:
        return client_of(steward)

    @pytest.mark.usefixtures("old")
    def test_by_article_with_examples_and_without_sealed_tickets(
        self, client: Client, scene: Scene, new: Release, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        (first, second, *_), blind = scene.tickets, scene.blind
        answers = {"v-1": "KB0001", "v-2": "KB0004"}

        def said(release: Release, documents: list[Document]) -> list[str]:
            return ["KB0001" if each.subject == second.subject else answers[release.version] for each in documents]

        monkeypatch.setattr("triage.learning.differing._firsts", said)
        client.post(path("model-compare", new), {"with": "v-1"})
        job = Job.objects.get(kind="compare")
        assert learning.run_job(job.pk, at=timezone.now())
        made = Comparison.objects.get()
        assert made.tickets == len(scene.tickets) - 1
        assert made.differing == made.tickets - 1
        page = client.get(path("model", new), {"with": "v-1"}).content.decode()
        table = page[page.index("would be answered otherwise") :]
        assert "Password forgotten or expired" in table
        assert reverse("ticket", args=[first.uuid]) in table or first.external_id not in table
        assert blind.external_id not in table
        assert str(blind.uuid) not in str(made.found)

    def test_a_ticket_drawn_since_is_not_shown(self, client: Client, scene: Scene, old: Release, new: Release) -> None:
        ticket = scene.tickets[0]
        found = [{"old": "KB0001", "new": "KB0004", "count": 1, "tickets": [str(ticket.uuid)]}]
        at = timezone.now()
        Comparison.objects.create(
            customer=scene.nordwind, new=new, old=old, made_at=at, since=at, tickets=9, differing=1, found=found
        )
        assert ticket.external_id in client.get(path("model", new), {"with": "v-1"}).content.decode()
        ticket.draw.delete()
        factories.draw(ticket, "verify", 0.05)
        assert ticket.external_id not in client.get(path("model", new), {"with": "v-1"}).content.decode()

    def test_real_models_that_are_the_same_differ_in_nothing(self, scene: Scene, old: Release, new: Release) -> None:
        for row, (document, _label) in zip(scene.tickets[:3], past.tickets(3, seed=9), strict=True):
            type(row).objects.filter(pk=row.pk).update(subject=document.subject, body=document.body)
        made = compare(new=new, old=old, at=timezone.now())
        assert (made.differing, made.found) == (0, [])
        assert made.tickets > 3

    def test_of_two_customers_none(self, steward: Person, scene: Scene, new: Release) -> None:
        other = factories.release(scene.contoso, version="theirs")
        with pytest.raises(learning.JobRefused):
            learning.ask_comparison(new=new, old=other, person=steward, at=timezone.now())
        answer = client_of(steward).post(path("model-compare", new), {"with": "theirs"})
        assert answer.status_code == 404


def test_a_model_whose_files_are_gone_is_not_promoted(steward: Person, new: Release, lake: object) -> None:
    from triage import serving

    for file in Path(serving.folder_of(new)).iterdir():
        file.unlink()
    client = client_of(steward)
    client.post(path("model-promote", new))
    assert in_force() == "v-1"
    assert "cannot be used" in client.get(path("model", new)).content.decode()
