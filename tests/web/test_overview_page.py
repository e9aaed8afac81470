"""The control room as its readers get it: figures, charts with their tables, banners, and a policy without styles."""

import re
from datetime import timedelta
from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from django.utils import timezone

from tests import factories
from tests.web.conftest import client_of
from tests.web.scene import Scene, busy
from triage import counting
from triage.models import CertificateCount, Membership, Person
from triage.queries import storms

pytestmark = pytest.mark.django_db


def _page(person: Person, query: str = "", **headers: str) -> str:
    return client_of(person).get(reverse("overview") + query, headers=headers).content.decode()


@pytest.fixture
def room(scene: Scene) -> Scene:
    """A desk that has been busy, counted."""
    busy(scene, at=timezone.now())
    counting.all_anew(at=timezone.now())
    return scene


def test_everything_is_on_the_page_and_nothing_is_styled_inline(room: Scene) -> None:
    page = _page(room.agent)
    for words in (
        "Resolved by itself",
        "Time saved",
        "assuming 10 minutes a ticket",
        "Decided before due",
        "Overdue now",
    ):
        assert words in page, words
    assert "Tickets received, by outcome" in page
    assert page.count('class="drawing"') == 2
    assert not re.search(r"\sstyle=|<style|<script(?![^>]*src=)", page)
    assert len(set(re.findall(r'\sid="([^"]+)"', page))) == len(re.findall(r'\sid="[^"]+"', page))


def test_a_charts_table_says_the_same_as_the_figures(room: Scene) -> None:
    page = _page(room.agent, "?range=24h")
    table = page[page.index('id="figures-outcomes"') :]
    cells = re.findall(r'<td class="number">(\d+)</td>', table[: table.index("</table>")])
    total = re.search(r"(\d+) tickets received</h2>", page)
    assert total
    assert sum(map(int, cells)) == int(total[1]) > 20


def test_wrong_runs_stand_against_the_promise(room: Scene) -> None:
    made = room.nordwind.certificate_set.get()
    CertificateCount.objects.update_or_create(certificate=made, defaults={"verified": 40, "wrong": 2})
    page = _page(room.agent)
    assert "Wrong runs, by blind verdicts, against what was promised" in page
    assert "5 % <small>(0.611 % – 16.9 %; 2/40)</small>" in page


def test_a_hostile_name_stays_text_in_a_chart_and_any_script_is_drawn(room: Scene) -> None:
    name = "$x$ 北風 <i>&"
    type(room.nordwind).objects.filter(pk=room.nordwind.pk).update(name=name)
    made = room.nordwind.certificate_set.get()
    type(made).objects.filter(pk=made.pk).update(runbooks=["</svg><img src=x onerror=alert(1)>"])
    CertificateCount.objects.update_or_create(certificate=made, defaults={"verified": 40, "wrong": 2})
    page = _page(room.agent)
    drawn = page[page.index("Wrong runs, by blind verdicts, against") :]
    assert name not in page
    assert "$x$ 北風 &lt;i&gt;&amp;" in drawn[: drawn.index("</svg>")]
    assert "<img" not in drawn[: drawn.index("</figure>")]
    assert "&lt;/svg&gt;&lt;img src=x onerror=alert(1)&gt;" in drawn[: drawn.index("</svg>")]


def test_a_storm_is_told_with_its_run(room: Scene) -> None:
    at, source = timezone.now(), room.tickets[0].source
    given: dict[str, Any] = {"source": source, "actor": "machine", "subject": "Disk <b>full</b>", "received_at": at}
    first = factories.ticket(**given)
    run = factories.run(first, room.target, target_object="web-1")
    for _ in range(storms.FEWEST):
        factories.ticket(**given, linked_run=run, status="linked")
    page = _page(room.agent)
    assert f"A storm is going on: {storms.FEWEST + 1} equal alerts" in page
    assert "Disk &lt;b&gt;full" in page
    assert reverse("run", args=[run.uuid]) in page
    assert "A storm" not in _page(room.stranger)


def test_a_customer_and_a_range_narrow_everything(room: Scene) -> None:
    Membership.objects.create(person=room.agent, customer=room.contoso, role="agent")
    both, one = _page(room.agent), _page(room.agent, "?customer=contoso&range=90d")
    assert "2 tickets received" in one
    assert "2 tickets received" not in both
    live = _page(room.agent, "?customer=contoso", **{"HX-Request": "true"})
    assert "2 tickets received" in live
    assert "May runbooks start?" not in live


def test_before_anything_was_counted_the_page_says_so(scene: Scene) -> None:
    page = _page(scene.agent)
    assert "Nothing has been counted yet" in page
    assert 'class="drawing"' not in page


def test_more_customers_certificates_and_tickets_take_no_more_queries(room: Scene) -> None:
    client = client_of(room.agent)

    def queries() -> int:
        with CaptureQueriesContext(connection) as asked:
            assert client.get(reverse("overview")).status_code == 200
        return len(asked)

    queries()  # makes rows that are made once
    few = queries()
    for number in range(6):
        other = factories.customer()
        Membership.objects.create(person=room.agent, customer=other, role="agent")
        factories.certificate(factories.release(other, status="in_force"))
        at = timezone.now() - timedelta(hours=number)
        for _ in range(3):
            factories.ticket(customer=other, status="needs_review", received_at=at, changed_at=at)
    counting.all_anew(at=timezone.now())
    assert queries() == few
