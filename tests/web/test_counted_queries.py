"""Lists take as many queries for fifty rows as for five: every page of the list of pages that shows rows is asked."""

from pathlib import Path
from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from tests import factories
from tests.browser.pages import Desk, Page, furnish, pages
from tests.web import scene as scenes
from tests.web.sending import send
from triage import approvals, tokens
from triage.models import Mode, Notification, Run, Ticket

pytestmark = pytest.mark.django_db
LISTS = (
    *("queue", "queue-all", "queue-changes", "approvals", "runs", "articles", "audit", "notifications", "people"),
    *("customers", "tokens", "sources", "deliveries", "models", "certificates", "overview"),
)
MORE = 30


def _more(desk: Desk) -> None:
    """As many more of everything that a list shows."""
    at, scene = timezone.now(), desk.scene
    source = scene.tickets[0].source
    for number in range(MORE):
        open_one = factories.ticket(source=source, status=Ticket.Status.NEEDS_REVIEW, received_at=at)
        factories.prediction(open_one)
        factories.decision(open_one)
        factories.article(key=f"KB9{number:03}", translation_group=f"KB9{number:03}", customer=scene.nordwind)
        factories.member(scene.nordwind, username=f"person{number}")
        factories.release(scene.nordwind, version=f"2026-09-{number:02}", status="retired")
        done = factories.ticket(source=source, status="resolved", received_at=at)
        factories.run(done, scene.target, status=Run.Status.SUCCEEDED, target_object=f"account{number}", started_at=at)
        Notification.objects.create(customer=scene.nordwind, kind="x", key=f"more{number}", text="x", created_at=at)
        if number % 2:  # a person has twenty at most
            tokens.issue(person=scene.approver, name=f"t{number}", scopes=["runs:read"], days="30", at=at)
        send(source, key=f"more{number}", external_id=f"INC9{number:03}")
        _ask(desk, number)


def _ask(desk: Desk, number: int) -> None:
    given = {"source": desk.scene.tickets[0].source, "status": Ticket.Status.CLASSIFIED, "received_at": timezone.now()}
    ticket = factories.ticket(**given, subject=f"Unlock person{number}")
    factories.prediction(ticket)
    parameters = {"account": f"person{number}"}
    decision = factories.decision(ticket, Mode.APPROVE, runbook="unlock_account", parameters=parameters)
    approvals.ask(ticket=ticket, decision=decision, people_needed=1, at=timezone.now())


def _taken(desk: Desk, there: list[Page]) -> dict[str, int]:
    found: dict[str, int] = {}
    for page in there:
        client: Any = desk.client(page.who)
        with CaptureQueriesContext(connection) as caught:
            assert client.get(page.path).status_code == 200, page.name
        found[page.name] = len(caught)
    return found


def test_no_list_takes_more_queries_for_more_rows(tmp_path: Path) -> None:
    scene = scenes.build(at=timezone.now(), folder=tmp_path)
    scenes.busy(scene, at=timezone.now())
    desk = furnish(scene, at=timezone.now())
    there = [page for page in pages(desk) if page.name in LISTS]
    assert len(there) == len(LISTS)
    _taken(desk, there)  # what is looked up once is looked up now
    before = _taken(desk, there)
    _more(desk)
    after = _taken(desk, there)
    assert {name: count for name, count in after.items() if count > before[name]} == {}
    assert max(after.values()) < 60, after
