"""First steps: each step's state is what the tables say, and who may not do it is told whom to ask."""

import json
from pathlib import Path

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.test import Client
from django.utils import timezone

from tests import factories, past
from tests.web.conftest import client_of
from tests.web.sending import send
from triage import connecting, installation, prediction, sample_articles
from triage.connecting import making
from triage.models import Article, AuditEvent, Customer, Job, Label, Mode, Person, Role, Source, Ticket
from triage.queries import start as reads
from triage.web.signin import make_sign_in_link

pytestmark = pytest.mark.django_db


@pytest.fixture
def customer() -> Customer:
    """What every installation begins with."""
    return Customer.objects.create(slug="default", name="Default", holdout_share=0.0)


@pytest.fixture
def admin(customer: Customer) -> Client:
    return client_of(factories.member(customer, Role.ADMIN, username="adam"))


def page(client: Client, customer: Customer) -> str:
    answer = client.get("/start/", {"customer": customer.slug})
    assert answer.status_code == 200
    return str(answer.content.decode())


def done(customer: Customer) -> tuple[bool, ...]:
    return reads.way(customer, at=timezone.now()).steps


def test_the_first_link_leads_to_the_first_steps_until_something_was_decided(customer: Customer) -> None:
    link = installation.first_sign_in(at=timezone.now())
    assert link
    client = Client()
    assert client.post(link[link.index("/sign-in/") :])["Location"] == "/start/"
    assert "Set a password" in page(client, customer)
    agent = factories.member(customer, Role.AGENT)
    assert Client().post(make_sign_in_link(agent, at=timezone.now()))["Location"] == "/"
    factories.decision(factories.ticket(customer=customer))
    person = Person.objects.get(username="admin")
    assert Client().post(make_sign_in_link(person, at=timezone.now()))["Location"] == "/me/"


def test_without_any_customer_the_provider_makes_the_first(db: None) -> None:
    provider = client_of(Person.objects.create(username="root", is_superuser=True))
    assert "1. Name the organisation" in provider.get("/start/").content.decode()
    answer = provider.post("/start/name/", {"name": "Nord & Wind GmbH", "mode": "suggest"})
    made = Customer.objects.get()
    assert (made.slug, made.name, made.mode) == ("nord-wind-gmbh", "Nord & Wind GmbH", Mode.SUGGEST)
    assert answer["Location"] == "/start/?customer=nord-wind-gmbh#source"
    other = client_of(factories.person())
    assert "You belong to no customer yet" in other.get("/start/").content.decode()
    assert other.post("/start/name/", {"name": "Mine", "mode": "suggest"}).status_code == 403
    assert other.get("/start/", {"customer": made.slug}).status_code == 404


def test_the_organisation_is_named_and_keeps_its_other_settings(admin: Client, customer: Customer) -> None:
    Customer.objects.update(minutes_a_ticket=7, write_back=False, verify_share=0.123456)
    assert done(customer) == (False,) * 5
    assert 'value="suggest" checked' in page(admin, customer)
    admin.post("/start/name/", {"customer": "default", "name": "Nordwind", "mode": "observe"})
    customer.refresh_from_db()
    assert (customer.name, customer.mode, done(customer)[0]) == ("Nordwind", "observe", True)
    assert (customer.minutes_a_ticket, customer.write_back, customer.verify_share) == (7, False, 0.123456)
    bad = admin.post("/start/name/", {"customer": "default", "name": "", "mode": "observe"}, follow=True)
    assert "Give the customer a name" in bad.content.decode()


def test_a_source_counts_when_it_is_live_and_says_what_is_missing_before(admin: Client, customer: Customer) -> None:
    person = Person.objects.get(username="adam")
    source = making.create(person=person, kind="standard", name="Own tool", customer=customer, at=timezone.now())
    shown = page(admin, customer)
    assert f"/sources/{source.slug}/test/" in shown
    assert "let it go live" in shown
    assert not done(customer)[1]
    send(source)
    connecting.go_live(source, person=person, at=timezone.now())
    assert done(customer)[1]
    assert "INC7" in page(admin, customer)


def test_past_tickets_are_brought_in_or_refused_with_their_lines(admin: Client, customer: Customer) -> None:
    assert "Articles first" in page(admin, customer)
    for label in past.PROBLEMS:
        factories.article(key=label, customer=customer)
    rows = [{"subject": d.subject, "body": d.body, "article": label} for d, label in past.tickets(24, seed=5)]

    def upload(*lines: object) -> tuple[int, str]:
        raw = "\n".join(json.dumps(line) for line in lines).encode()
        form = {"customer": "default", "encoding": "utf-8", "file": SimpleUploadedFile("past.jsonl", raw)}
        answer = admin.post("/start/past/", form, follow=True)
        return answer.status_code, answer.content.decode()

    status, text = upload(rows[0], {"body": "<b>x</b>", "article": "<script>"})
    assert (status, Label.objects.count()) == (422, 0)
    assert "Line 2:" in text
    assert "&lt;script&gt;" in text
    assert "<script>'" not in text
    status, text = upload(*rows)
    assert (status, Label.objects.count()) == (200, 24)
    assert "24 past tickets were read, 24 of them new here." in text
    assert "There are 24 labelled tickets of 4 articles" in text
    assert "0 of them new" in upload(*rows)[1]
    admin.post("/start/train/", {"customer": "default"})
    job = Job.objects.get()
    assert (job.kind, job.settings["publish"]) == ("train", 1)
    assert "Waiting for the worker that learns" in page(admin, customer)


def test_the_sample_articles_are_taken_once(admin: Client, customer: Customer) -> None:
    Article.objects.create(key="KB0001", title="Ours", translation_group="KB0001", customer=customer)
    Article.objects.all().update(retired_at=timezone.now())
    admin.post("/start/samples/", {"customer": "default"})
    assert Article.objects.of(customer).count() == sample_articles.count()  # the retired one is left alone
    assert Article.objects.get(key="KB0001").title == "Ours"
    before = AuditEvent.objects.count()
    admin.post("/start/samples/", {"customer": "default"})
    assert (AuditEvent.objects.count(), done(customer)[2]) == (before, True)


def test_the_first_ticket_shows_as_it_comes_and_a_sealed_one_tells_nothing(admin: Client, customer: Customer) -> None:
    first = admin.get("/start/live/", {"customer": "default"}).content.decode()
    assert "Waiting for the first ticket" in first
    mark = first.split("seen=")[1].split('"')[0]
    assert admin.get("/start/live/", {"customer": "default", "seen": mark}).status_code == 204
    Customer.objects.update(holdout_share=0, verify_share=0)
    factories.source(customer=customer, slug="desk")
    assert send(Source.objects.get(slug="desk")).status_code == 202
    came = admin.get("/start/live/", {"customer": "default", "seen": mark}).content.decode()
    assert "INC7" in came
    prediction.classify_batch(at=timezone.now(), limit=10)
    ticket = Ticket.objects.get()
    decided = admin.get("/start/live/", {"customer": "default", "seen": mark}).content.decode()
    assert "There is no model yet for this customer." in decided
    assert "Open it and decide" in decided
    factories.draw(ticket, "holdout") if not hasattr(
        ticket, "draw"
    ) else Ticket.objects.get().draw.__class__.objects.update(purpose="holdout")
    sealed = page(admin, customer)
    assert "sealed holdout" in sealed
    assert "There is no model yet" not in sealed
    factories.review(ticket, Person.objects.get(username="adam"))
    assert done(customer)[4]


def test_who_may_not_is_told_whom_to_ask(admin: Client, customer: Customer, tmp_path: Path) -> None:
    agent = client_of(factories.member(customer, Role.AGENT, username="bea"))
    shown = page(agent, customer)
    assert "Ask for them: adam." in " ".join(shown.split())
    for step in ("name", "past", "samples", "train"):
        assert f"/start/{step}/" not in shown
        answer = agent.post(f"/start/{step}/", {"customer": "default", "name": "x", "mode": "automate"})
        assert answer.status_code == 403, step
    stranger = client_of(factories.member(factories.customer(), Role.ADMIN))
    for step in ("name", "past", "samples", "train"):
        assert stranger.post(f"/start/{step}/", {"customer": "default"}).status_code == 404
    assert stranger.get("/start/live/", {"customer": "default"}).status_code == 404
    steward = page(client_of(factories.member(customer, Role.STEWARD)), customer)
    assert "/start/samples/" in steward
    assert "/start/name/" not in steward
