"""The queue page: its order, its groups, what it can be narrowed to, and filters that people save."""

import re
from datetime import timedelta
from typing import Any

from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from django.utils import timezone

from tests import factories
from tests.web.conftest import client_of
from tests.web.scene import Scene
from triage.models import AuditEvent, Draw, SavedFilter, Ticket
from triage.queries import order


def waiting(scene: Scene, **values: Any) -> Ticket:
    """A ticket of the scene's first customer that waits for a verdict."""
    given = {"source": scene.tickets[0].source, "status": "needs_review", "received_at": timezone.now()}
    return factories.ticket(**{**given, **values})


def storm(scene: Scene, count: int, **values: Any) -> list[Ticket]:
    """Tickets that read alike, each about a machine of its own."""
    return [
        waiting(scene, subject=f"Disk full on web{number}", alike="a" * 64, fields={"host": f"web{number}"}, **values)
        for number in range(count)
    ]


def keys(client: Client, query: str = "status=") -> list[int]:
    """The tickets that the queue shows, in order."""
    page = client.get(f"{reverse('queue')}?{query}").content.decode()
    return [int(key) for key in re.findall(r'id="t(\d+)"', page)]


def queries(client: Client, path: str) -> int:
    """How many queries a page takes."""
    with CaptureQueriesContext(connection) as caught:
        assert client.get(path).status_code == 200
    return len(caught)


def test_equally_urgent_tickets_come_by_what_their_answer_is_worth(scene: Scene) -> None:
    Ticket.objects.update(status="withdrawn")
    due = timezone.now().replace(minute=0, second=0, microsecond=0) + timedelta(days=1)
    plain = waiting(scene, due_at=due, turn=900)
    drawn = waiting(scene, due_at=due + timedelta(minutes=14), turn=order.turn_of(drawn=True))
    later = waiting(scene, due_at=due + timedelta(minutes=15), turn=0)
    never = waiting(scene, due_at=None, turn=0)
    late = waiting(scene, due_at=due - timedelta(days=3), turn=999)
    assert keys(client_of(scene.agent)) == [row.pk for row in (late, drawn, plain, later, never)]


def test_the_database_counts_quarters_of_an_hour_as_the_clock_does(scene: Scene) -> None:
    for minutes in range(0, 61, 5):
        due = timezone.now().replace(minute=0, second=0, microsecond=0) + timedelta(minutes=minutes)
        ticket = waiting(scene, due_at=due, turn=7)
        ticket.refresh_from_db()
        assert ticket.place == int(due.timestamp()) // 900 * 1000 + 7


def test_tickets_that_read_alike_are_one_row_that_says_how_many(scene: Scene) -> None:
    rows = storm(scene, 12)
    client = client_of(scene.agent)
    page = client.get(reverse("queue") + "?status=").content.decode()
    shown = [int(key) for key in re.findall(r'id="t(\d+)"', page)]
    assert [row.pk for row in rows if row.pk in shown] == [rows[0].pk]
    assert "12 alike" in page
    opened = client.get(reverse("queue-alike", args=[rows[0].pk])).content.decode()
    for number, row in enumerate(rows):
        assert row.external_id in opened
        assert f"<mark>host: web{number}</mark>" in opened  # each machine is shown, not only the first


def test_the_most_urgent_of_a_group_stands_for_it_and_only_for_what_the_filters_leave(scene: Scene) -> None:
    rows = storm(scene, 4)
    Ticket.objects.filter(pk=rows[2].pk).update(due_at=timezone.now())
    client = client_of(scene.agent)
    assert [key for key in keys(client) if key in {row.pk for row in rows}] == [rows[2].pk]
    assert keys(client, "text=web3") == [rows[3].pk]
    assert "data-group" not in client.get(reverse("queue") + "?text=web3").content.decode()


def test_equal_texts_of_two_customers_are_never_one_group(scene: Scene) -> None:
    mine = storm(scene, 2)
    theirs = [waiting(scene, source=factories.source(customer=scene.contoso), alike="a" * 64) for _ in range(2)]
    shown = keys(client_of(factories.person(is_superuser=True)))
    assert {mine[0].pk, theirs[0].pk} <= set(shown)
    assert not {mine[1].pk, theirs[1].pk} & set(shown)


def test_a_group_with_a_drawn_ticket_shows_no_suggestion(scene: Scene) -> None:
    rows = storm(scene, 3)
    for row in rows:
        factories.prediction(row, "KB0007", 0.77)
        factories.draw(row, "holdout" if row is rows[2] else "none")
    client = client_of(scene.agent)
    assert "77\xa0%" not in client.get(reverse("queue") + "?text=Disk").content.decode()
    page = client.get(reverse("together"), {"t": rows[0].pk}).content.decode()
    assert "suggested for" not in page
    assert "blind check" in page


def test_pages_neither_repeat_nor_lose_what_others_decide_meanwhile(scene: Scene) -> None:
    Ticket.objects.update(status="withdrawn")
    rows = [waiting(scene, turn=number % 7, subject=f"Number {number}") for number in range(120)]
    client = client_of(scene.agent)
    page = client.get(reverse("queue") + "?status=").content.decode()
    seen = re.findall(r'id="t(\d+)"', page)
    Ticket.objects.filter(pk__in=seen[:20]).update(status="resolved")
    onward = re.search(r'href="(\?[^"]*)" rel="next"', page)
    assert onward
    second = client.get(reverse("queue") + onward[1].replace("&amp;", "&")).content.decode()
    wanted = sorted(rows, key=lambda row: (row.turn, row.pk))
    assert [int(key) for key in re.findall(r'id="t(\d+)"', second)] == [row.pk for row in wanted[50:100]]


NARROWED: dict[str, set[int]] = {
    "source=nordwind-snow&language=de": {1},
    "language=fr": {3},
    "due=late": {0},
    "due=1h": {0, 1},
    "reason=article+runbook": {2, 4},  # the drawn one has that reason too, which nobody may learn
    "drawn=yes": {6},
    "drawn=no&text=Who": {5},
    "mode=suggest&text=VPN": {2},
    "mode=approve": set(),
    "mode=nonsense&language=ja": {4},
    "group=Network": {2},
}


def test_the_queue_is_narrowed_by_everything_that_it_knows(scene: Scene) -> None:
    Ticket.objects.filter(pk=scene.tickets[2].pk).update(itsm_group="network")
    client = client_of(scene.agent)
    for query, wanted in NARROWED.items():
        shown = set(keys(client, query))
        assert {place for place, ticket in enumerate(scene.tickets) if ticket.pk in shown} == wanted, query


def test_the_recognised_language_counts_before_the_stated_one(scene: Scene) -> None:
    row = waiting(scene, language="en", spoken="da")
    client = client_of(scene.agent)
    assert row.pk in keys(client, "language=da")
    assert row.pk not in keys(client, "language=en")


def test_the_queue_takes_the_same_queries_for_fifty_rows_as_for_five(scene: Scene) -> None:
    storm(scene, 2)
    client = client_of(scene.agent)
    paths = [
        reverse("queue") + "?status=",
        reverse("queue") + "?status=&text=e&language=en&reason=e&due=24h",
        reverse("queue-changes") + "?shown=1.a",
        reverse("queue-saved"),
        reverse("ticket", args=[scene.tickets[0].uuid]),
    ]
    few = [queries(client, path) for path in paths]
    for number in range(60):
        row = waiting(scene, subject=f"One {number}", language="en", alike=f"{number // 2:064}", reason="e")
        factories.prediction(row, f"KB000{1 + number % 7}")
        factories.draw(row, "holdout" if number % 5 == 0 else "none")
    many = [queries(client, path) for path in paths]
    assert many == few
    assert max(many[:4]) <= 18
    assert many[4] <= 30


def test_pages_read_no_column_that_they_do_not_show_and_roles_once(scene: Scene) -> None:
    drawn = Draw.objects.filter(purpose="holdout", ticket__in=scene.tickets)[0].ticket
    client = client_of(scene.agent)
    for path in (reverse("queue") + "?status=", reverse("ticket", args=[drawn.uuid])):
        with CaptureQueriesContext(connection) as caught:
            assert client.get(path).status_code == 200
        read = [str(row["sql"]) for row in caught.captured_queries]
        assert sum('"triage_membership"' in sql for sql in read) == 1, path
        assert not any('"secrets"' in sql or '"credentials"' in sql for sql in read), path
        if path.startswith(reverse("queue") + "?"):
            listed = [sql for sql in read if '"snippet"' in sql]
            assert len(listed) == 1
            for column in ("body", "fields", "attachments", "waiting_update", "password", "alpha_by_tier"):
                assert f'"{column}",' not in listed[0].replace('"body", 1', ""), column
        else:
            looks = [sql for sql in read if "'revealed'" in sql]
            alike = [sql for sql in read if '"storm_key" = ' in sql]
            assert alike
            assert not any('"body"' in sql for sql in alike)
            assert looks  # the ticket is drawn
            assert not any(" OR " in sql for sql in looks)  # or all of the log would be read


def test_a_role_that_was_taken_away_counts_no_more_at_the_next_request(scene: Scene) -> None:
    client = client_of(scene.agent)
    path = reverse("ticket", args=[scene.tickets[0].uuid])
    assert client.get(path).status_code == 200
    scene.agent.membership_set.all().delete()
    assert client.get(path).status_code == 404
    assert keys(client) == []


def test_a_filter_is_saved_counted_put_first_and_removed(scene: Scene) -> None:
    client = client_of(scene.agent)
    client.post(reverse("queue-save"), {"name": " German  mail ", "language": "de"})
    client.post(reverse("queue-save"), {"name": "Late", "due": "late"})
    page = client.get(reverse("queue-saved") + "?due=late").content.decode()
    assert re.search(r"German mail\s*<span class=\"count\">1</span>", page)
    assert "Open the queue with this one" in page
    assert client.get(reverse("queue"))["Location"] == "/?language=de"
    late = SavedFilter.objects.get(name="Late")
    client.post(reverse("queue-change-saved", args=[late.pk]), {"do": "first"})
    assert client.get(reverse("queue"))["Location"] == "/?due=late"
    assert keys(client) != []
    client.post(reverse("queue-change-saved", args=[late.pk]), {"do": "remove"})
    assert client.get(reverse("queue"))["Location"] == "/?language=de"
    assert list(AuditEvent.objects.filter(event__startswith="filter").values_list("event", "reason"))[-1] == (
        "filter removed",
        "Late",
    )


def test_a_filter_of_one_person_is_nobody_elses(scene: Scene) -> None:
    other = client_of(factories.member(scene.nordwind))
    row = SavedFilter.objects.create(person=scene.agent, name="Mine", query={"due": "late"})
    assert "Mine" not in other.get(reverse("queue-saved")).content.decode()
    assert other.get(reverse("queue")).status_code == 200
    assert other.post(reverse("queue-change-saved", args=[row.pk]), {"do": "remove"}).status_code == 404


REFUSED: dict[str, dict[str, str]] = {
    "Give the filter a name": {"name": "  ", "due": "late"},
    "Narrow the queue first": {"name": "x"},
    "12 filters are the most": {"name": "thirteenth", "due": "late"},
}


def test_a_filter_that_cannot_be_saved_is_refused_with_the_reason(scene: Scene) -> None:
    for number in range(12):
        SavedFilter.objects.create(person=scene.agent, name=f"F{number}", query={"text": str(number)}, position=number)
    client = client_of(scene.agent)
    for why, form in REFUSED.items():
        assert why in client.post(reverse("queue-save"), form, follow=True).content.decode()
    assert SavedFilter.objects.count() == 12


def test_a_group_moves_up_as_it_grows_and_a_drawn_ticket_tells_nothing_by_its_place() -> None:
    sizes = [order.turn_of(drawn=False, alike=size) for size in (0, 1, 5, 60, 5000)]
    assert sizes == sorted(sizes, reverse=True)
    sure = [{"probability": 0.9}, {"probability": 0.05}]
    torn = [{"probability": 0.5}, {"probability": 0.48}]
    assert order.turn_of(drawn=False, matches=torn, sufficient=True) < order.turn_of(
        drawn=False, matches=sure, sufficient=True
    )
    assert order.turn_of(drawn=False, matches=torn) == order.LAST
    assert order.turn_of(drawn=False, new_articles=[{"in_front": True}]) < order.LAST
    assert order.turn_of(drawn=True, matches=torn, sufficient=True) == order.turn_of(drawn=True)
    best = order.turn_of(drawn=False, matches=torn, new_articles=[{"in_front": True}], sufficient=True, alike=9999)
    assert order.turn_of(drawn=True) <= best
