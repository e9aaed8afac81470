"""From an empty installation to the first decided ticket, on the page, as its first administrator goes."""

import json
import os
import urllib.request
from collections import Counter
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from django.conf import settings
from django.utils import timezone
from playwright.sync_api import expect

from tests.browser.conftest import DESKTOP, Watched, _page
from tests.browser.test_sources import look
from triage import installation, landing, learning, prediction, sample_articles
from triage.demo import tickets
from triage.itsm import standard
from triage.models import Article, Customer, Job, Release, Review, Source, Ticket

pytestmark = pytest.mark.usefixtures("lake")
KEPT = os.environ.get("TRIAGE_SCREENSHOTS")
ROWS, ARTICLES = 80, 5


@pytest.fixture
def empty(chromium: Any, transactional_db: None, watched: Watched, monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """A browser at an installation as `triage up` makes it, and nothing more."""
    monkeypatch.setattr(settings, "BASE_URL", watched.server)
    installation.prepare_database()
    # chance would seal half of all tickets: tests/web/test_start.py shows what is seen of those
    Customer.objects.update(holdout_share=0)
    yield from _page(chromium, watched, viewport=DESKTOP)


def past_file() -> bytes:
    """Past tickets of the sample company's busiest articles, as an export has them."""
    rows, _ = tickets.generate_history(seed=3, n_train=400, n_certify=0)
    busiest = [label for label, _ in Counter(row.truth for row in rows if row.truth).most_common(ARTICLES)]
    chosen = [row for row in rows if row.truth in busiest][:ROWS]
    told = [
        {"number": row.external_id, "subject": row.subject, "body": row.body, "article": row.truth} for row in chosen
    ]
    return "\n".join(json.dumps(row) for row in told).encode()


def post(source: Source, external_id: str, subject: str, body: str) -> None:
    """A signed message over real HTTP, as the ITSM sends it."""
    source.refresh_from_db()
    raw = json.dumps({"external_id": external_id, "subject": subject, "body": body, "channel": "portal"}).encode()
    headers = standard.signed_headers(source.signing_secrets()[0], key=external_id, body=raw, at=datetime.now(UTC))
    url = f"{settings.BASE_URL}/webhooks/{source.slug}/"
    asked = urllib.request.Request(url, raw, {**headers, "Content-Type": "application/json"})  # noqa: S310 - loopback
    with urllib.request.urlopen(asked) as answer:  # noqa: S310 - loopback
        assert answer.status == 202


def sign_in_by_the_first_link(page: Any) -> None:
    link = installation.first_sign_in(at=timezone.now())
    assert link
    page.goto(urlsplit(link).path)
    page.get_by_role("button", name="Sign in").click()
    expect(page.get_by_role("heading", name="First steps")).to_contain_text("0 of 5 done")


def name_the_company(page: Any) -> None:
    page.get_by_label("What people call it").fill("Nordwind")
    page.get_by_role("button", name="Save").click()
    expect(page.get_by_role("heading", name="First steps")).to_contain_text("Nordwind: 1 of 5 done")


def take_the_sample_articles(page: Any) -> None:
    page.get_by_role("button", name="sample articles").click()
    expect(page.get_by_text("articles were added.")).to_be_visible()
    assert Article.objects.filter(customer__slug="default").count() == sample_articles.count()


def connect_a_source(page: Any) -> None:
    page.get_by_role("link", name="Connect a source").click()
    page.check("input[value=standard]")
    page.fill("#name", "Own tool")
    page.select_option("#customer", "default")
    page.get_by_role("button", name="Go on").click()
    page.get_by_role("link", name="Go on: a first message").click()
    source = Source.objects.get(name="Own tool")
    post(source, "TEST-1", "Is anybody there?", "Only a test of the connection.")
    expect(page.get_by_text("its signature is right")).to_be_visible()
    page.goto("/start/")
    expect(page.get_by_text("being set up", exact=True)).to_be_visible()


def bring_in_past_tickets(page: Any) -> None:
    page.get_by_text("Upload a file of past tickets").click()
    page.set_input_files("#file", {"name": "past.jsonl", "mimeType": "text/plain", "buffer": past_file()})
    page.get_by_role("button", name="Bring in", exact=True).click()
    expect(page.get_by_text(f"{ROWS} past tickets were read")).to_be_visible()
    landing.carry_labels(at=timezone.now())


def train(page: Any) -> None:
    page.get_by_role("button", name="Train, and bring into force").click()
    expect(page.get_by_text("Waiting for the worker that learns")).to_be_visible()
    assert learning.run_job(Job.objects.get().pk, at=timezone.now())
    assert Release.objects.get().status == Release.Status.IN_FORCE, Job.objects.get().progress
    expect(page.get_by_text(f"is in force, learnt from {Release.objects.get().rows} tickets")).to_be_visible()
    expect(page.get_by_text("Waiting for the first ticket")).to_be_visible()
    expect(page.locator("#start-count")).to_have_text("Nordwind: 3 of 5 done")


def go_live(page: Any) -> None:
    page.get_by_role("link", name="First message, and go live").click()
    page.get_by_role("button", name="Go live").click()
    page.goto("/start/")
    prediction.classify_batch(at=timezone.now(), limit=10)
    expect(page.locator("#ticket")).to_contain_text("Is anybody there?")
    expect(page.locator("#ticket .because")).to_contain_text(Ticket.objects.get().reason)


def decide_the_first_ticket(page: Any) -> None:
    page.get_by_role("link", name="Open it and decide").click()
    page.wait_for_selector("h1:has-text('anybody')")
    page.keyboard.press("n")
    page.keyboard.type("only a test of the connection")
    page.keyboard.press("Enter")
    page.wait_for_url(lambda url: "/tickets/" not in url)
    assert Review.objects.get().ticket == Ticket.objects.get()
    page.goto("/start/")
    expect(page.get_by_role("heading", name="First steps")).to_contain_text("5 of 5 done")
    expect(page.get_by_text("The first decided ticket is there.")).to_be_visible()
    expect(page.get_by_role("link", name="Certificates: what is still missing")).to_be_visible()


def test_an_administrator_goes_from_nothing_to_the_first_decided_ticket(empty: Any) -> None:
    def keep(name: str) -> None:
        if KEPT:
            look(empty, name, Path(KEPT))

    sign_in_by_the_first_link(empty)
    keep("start-empty")
    name_the_company(empty)
    take_the_sample_articles(empty)
    connect_a_source(empty)
    bring_in_past_tickets(empty)
    train(empty)
    keep("start-waiting")
    go_live(empty)
    keep("start-ticket")
    decide_the_first_ticket(empty)
    keep("start-done")
