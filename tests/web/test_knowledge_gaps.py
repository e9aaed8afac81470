"""Gaps on the page: what is shown to whom, a draft that becomes an article, and that it is suggested at once."""

from datetime import timedelta

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from django.utils import timezone

from classifier.text import Document
from tests import factories, trained
from tests.web.conftest import client_of
from tests.web.scene import Scene
from triage import serving
from triage.learning import gaps
from triage.models import Article, Gap, GapMember, Job, Person, Role, Ticket

pytestmark = pytest.mark.django_db
FLOORS = ("first", "second", "third", "fourth", "fifth", "sixth")


@pytest.fixture
def steward(scene: Scene) -> Person:
    return factories.member(scene.nordwind, Role.STEWARD, username="stew")


@pytest.fixture
def gap(scene: Scene) -> Gap:
    """Six tickets about badges that an agent answered with "none of these", grouped."""
    at = timezone.now() - timedelta(minutes=5)
    for floor in FLOORS:
        body = f"My door badge opens no gate on the {floor} floor since Monday."
        ticket = factories.ticket(
            source=scene.tickets[0].source, subject=f"Badge {floor}", body=body, status="answered", received_at=at
        )
        factories.draw(ticket)
        factories.review(ticket, scene.agent, verdict="none", article="", note="door badge", decided_at=at)
    gaps.regroup(customer=scene.nordwind, at=timezone.now())
    return Gap.objects.get(customer=scene.nordwind)


def test_a_gap_shows_its_words_size_trend_and_tickets_and_no_sealed_one(scene: Scene, gap: Gap) -> None:
    sealed = Ticket.objects.get(subject="Badge sixth")
    sealed.draw.purpose = "holdout"
    sealed.draw.save()
    sealed.reviews.update(undone_at=timezone.now())
    client = client_of(scene.agent)
    page = client.get(reverse("gaps")).content.decode()
    for words in ("door badge", "6 tickets", "Badge ", 'class="weeks"'):
        assert words in page, words
    assert "Draft an article" not in page
    one = client.get(reverse("gap", args=[gap.pk])).content.decode()
    assert one.count("My door badge opens") == len(FLOORS) - 1
    assert "sixth" not in one
    assert "Dismiss" not in one
    assert client_of(scene.stranger).get(reverse("gap", args=[gap.pk])).status_code == 404
    assert "door badge" not in client_of(scene.stranger).get(reverse("gaps")).content.decode()


def test_a_draft_becomes_an_article_that_is_suggested_at_once(scene: Scene, steward: Person, gap: Gap) -> None:
    release = trained.release(scene.nordwind)
    client, path = client_of(steward), reverse("article-new")
    form = client.get(f"{path}?gap={gap.pk}").context["form"]
    assert (form.title, form.key) == ("Door badge", "door-badge")
    assert "My door badge opens no gate" in form.symptoms
    given = {"gap": str(gap.pk), "customer": "nordwind", "key": form.key, "title": form.title, "body": form.body}
    answer = client.post(path, given | {"symptoms": form.symptoms, "language": "en"})
    article = Article.objects.get(key="door-badge")
    assert answer["Location"] == reverse("article", args=[article.pk])
    gap.refresh_from_db()
    assert gap.article == article
    assert "door badge" not in client.get(reverse("gaps")).content.decode()
    assert "Written for it" in client.get(f"{reverse('gaps')}?show=written").content.decode()
    model = serving.load(release)
    asked = model.classifier.rank([Document("Badge", "My door badge opens no gate on the ninth floor.")])
    (placed,) = serving.suggest_new(model, asked)
    assert next(one.label for one in (*placed.in_front, *placed.after)) == "door-badge"
    gaps.regroup(customer=scene.nordwind, at=timezone.now())
    assert set(GapMember.objects.values_list("gap", flat=True)) == {gap.pk}


def test_dismissing_asks_for_a_reason_and_can_be_taken_back(scene: Scene, steward: Person, gap: Gap) -> None:
    client, path = client_of(steward), reverse("gap-dismiss", args=[gap.pk])
    assert client_of(scene.agent).post(path, {"because": "no"}).status_code == 403
    assert "Say in a few words" in client.post(path, {"because": " "}, follow=True).content.decode()
    client.post(path, {"because": "Facilities does that"})
    assert "door badge" not in client.get(reverse("gaps")).content.decode()
    assert "Facilities does that" in client.get(f"{reverse('gaps')}?show=dismissed").content.decode()
    client.post(path, {"to": "open"})
    assert "door badge" in client.get(reverse("gaps")).content.decode()


def test_grouping_on_demand_is_one_job_and_for_stewards(scene: Scene, steward: Person) -> None:
    path = reverse("gaps-group", args=["nordwind"])
    assert client_of(scene.agent).post(path).status_code == 403
    for _ in range(2):
        client_of(steward).post(path)
    job = Job.objects.get(kind="gaps")
    assert (job.customer, job.status) == (scene.nordwind, "waiting")


@pytest.mark.usefixtures("gap")
def test_the_number_of_queries_is_the_same_for_any_number_of_gaps(scene: Scene) -> None:
    client, at = client_of(scene.agent), timezone.now()
    counts = []
    for number in (0, 12):
        for one in range(number):
            moments = dict.fromkeys(("first_at", "last_at", "made_at", "grouped_at"), at)
            made = Gap.objects.create(customer=scene.nordwind, words=f"gap {one}", size=1, **moments)
            GapMember.objects.create(gap=made, ticket=factories.ticket(customer=scene.nordwind), place=0)
        with CaptureQueriesContext(connection) as caught:
            client.get(reverse("gaps"))
        counts.append(len(caught))
    assert counts[0] == counts[1] <= 16
