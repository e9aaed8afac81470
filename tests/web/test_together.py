"""One verdict for several tickets: what is listed, what is decided, what is left out, and the way back."""

from datetime import timedelta
from typing import Any

from django.test import Client
from django.urls import reverse
from django.utils import timezone

from tests import factories
from tests.web.conftest import client_of
from tests.web.scene import Scene
from tests.web.test_queue import queries, storm
from triage import review
from triage.models import Label, Review, Ticket, Writeback
from triage.review import together
from triage.review.together import Answer, decide_together, undo_together


def give(client: Client, tickets: list[Ticket], **values: Any) -> str:
    """Decide what is ticked; the page that follows."""
    form = {"verdict": "article", "article": "KB0007", "t": [f"{row.pk}~{row.text_hash}" for row in tickets], **values}
    return client.post(reverse("together-decide"), form, follow=True).content.decode()


def statuses(tickets: list[Ticket]) -> list[str]:
    """Where they stand now."""
    return [Ticket.objects.get(pk=row.pk).status for row in tickets]


def test_every_ticket_of_a_group_is_listed_with_what_is_its_own(scene: Scene) -> None:
    rows = storm(scene, 3)
    page = client_of(scene.agent).get(reverse("together"), {"t": rows[0].pk}).content.decode()
    for number, row in enumerate(rows):
        assert f'value="{row.pk}~{row.text_hash}"' in page
        assert f"<mark>host: web{number}</mark>" in page
        assert f"<mark>web{number}</mark>" in page
    assert "<mark>Disk</mark>" not in page


def test_a_group_gets_one_verdict_each_and_all_of_it_is_taken_back(scene: Scene) -> None:
    rows, client = storm(scene, 3), client_of(scene.agent)
    page = give(client, rows)
    assert "3 tickets decided" in page
    assert statuses(rows) == ["resolved"] * 3
    said = Review.objects.filter(ticket__in=rows)
    assert {(one.provenance, one.article, one.person) for one in said} == {("desk-group", "KB0007", scene.agent)}
    assert Label.objects.filter(review__in=said).count() == 3
    assert not Writeback.objects.filter(next_at__lte=timezone.now() + timedelta(seconds=9)).exists()
    page = client.post(reverse("together-undo"), follow=True).content.decode()
    assert "3 tickets wait again" in page
    assert statuses(rows) == ["needs_review"] * 3
    assert not Label.objects.filter(withdrawn_at__isnull=True).exists()
    assert {row.status for row in Writeback.objects.all()} == {"given_up"}


def test_what_changed_is_held_or_is_decided_already_is_left_out_and_said(scene: Scene) -> None:
    rows = storm(scene, 5)
    otto = factories.member(scene.nordwind, first_name="Otto", last_name="Ohm")
    Ticket.objects.filter(pk=rows[1].pk).update(text_hash="e" * 64)
    review.hold(rows[2], person=otto, at=timezone.now())
    review.decide(ticket=rows[3], person=otto, verdict="none", note="disk full", at=timezone.now())
    page = give(client_of(scene.agent), rows)
    assert "2 tickets decided" in page
    assert "3 left out" in page
    for why in ("text has changed since", "Otto Ohm has this ticket open", "Otto Ohm has decided this ticket already"):
        assert why in page
    assert statuses(rows) == ["resolved", "needs_review", "needs_review", "answered", "resolved"]


def test_chosen_tickets_that_read_differently_are_decided_too(scene: Scene) -> None:
    chosen = [scene.tickets[1], scene.tickets[2]]
    page = client_of(scene.agent).get(reverse("together"), {"t": [row.pk for row in chosen]}).content.decode()
    assert "suggested for 1" in page
    give(client_of(scene.agent), chosen, verdict="none", article="KB0007", note="office move")
    assert {(one.provenance, one.verdict, one.article) for one in Review.objects.all()} == {("desk-bulk", "none", "")}


def test_other_articles_that_would_do_are_noted_with_each_verdict(scene: Scene) -> None:
    rows = storm(scene, 2)
    give(client_of(scene.agent), rows, also=["KB0001", "KB0007"])
    assert [one.also_acceptable for one in Review.objects.all()] == [["KB0001"]] * 2


def test_a_drawn_ticket_among_unlike_ones_is_left_for_an_answer_of_its_own(scene: Scene) -> None:
    chosen = {"t": [scene.tickets[2].pk, scene.blind.pk]}
    listed = client_of(scene.agent).get(reverse("together"), chosen).content.decode()
    assert f'value="{scene.blind.pk}~{scene.blind.text_hash}" disabled' in listed
    assert f'value="{scene.tickets[2].pk}~{scene.tickets[2].text_hash}" checked' in listed
    page = give(client_of(scene.agent), [scene.tickets[2], scene.blind])
    assert "1 ticket decided" in page
    assert "drawn for a blind check" in page
    assert not Review.objects.filter(ticket=scene.blind).exists()


def test_one_verdict_opens_one_cluster_and_no_other(scene: Scene) -> None:
    rows = storm(scene, 4)
    for row, cluster in zip(rows, ("one", "one", "two", "three"), strict=True):
        factories.draw(row, "none" if cluster == "three" else "holdout", cluster=cluster)
    page = give(client_of(scene.agent), rows)
    assert "a blind check of its own" in page
    said = {one.ticket_id: one.blind for one in Review.objects.all()}
    assert said == {rows[0].pk: True, rows[1].pk: True, rows[3].pk: False}


def test_an_answer_that_fits_no_several_tickets_is_refused_whole(scene: Scene) -> None:
    rows, client = storm(scene, 2), client_of(scene.agent)
    assert "ordered one ticket at a time" in give(client, rows, follow="run")
    assert "Say in a word or two" in give(client, rows, verdict="none", note="")
    assert "Choose at least one ticket" in give(client, [])
    assert not Review.objects.exists()


def test_nothing_of_another_customer_is_listed_or_decided(scene: Scene) -> None:
    client = client_of(scene.stranger)
    page = client.get(reverse("together"), {"t": scene.tickets[0].pk}, follow=True).content.decode()
    assert scene.tickets[0].external_id not in page
    give(client, [scene.tickets[0]])
    assert not Review.objects.exists()
    give(client_of(factories.member(scene.nordwind, "auditor")), [scene.tickets[0]])
    assert not Review.objects.exists()


def test_a_number_that_is_written_oddly_decides_what_it_names(scene: Scene) -> None:
    row = storm(scene, 1)[0]
    form = {"verdict": "article", "article": "KB0007", "t": [f"00{row.pk}~{row.text_hash}", "²~x", "~", ""]}
    client_of(scene.agent).post(reverse("together-decide"), form)
    assert statuses([row]) == ["resolved"]


def test_deciding_stops_in_time_for_the_way_back(scene: Scene) -> None:
    rows, ticks = storm(scene, 4), iter((0.0, 1.0, 2.0, 3.5, 4.0))
    found = decide_together(
        tickets=rows,
        person=scene.agent,
        answer=Answer("article", "KB0007"),
        at=timezone.now(),
        clock=lambda: next(ticks),
    )
    assert [len(found.done), len(found.left)] == [2, 2]
    assert "no time left" in found.left[0].why


def test_what_somebody_moved_on_meanwhile_is_not_taken_back(scene: Scene) -> None:
    rows, at = storm(scene, 2), timezone.now()
    found = decide_together(tickets=rows, person=scene.agent, answer=Answer("article", "KB0007"), at=at)
    Writeback.objects.filter(ticket=rows[0]).update(claim_until=at + timedelta(seconds=60))
    back = undo_together(found.done, person=scene.agent, at=at + timedelta(seconds=5))
    assert (len(back.done), [one.external_id for one in back.left]) == (1, [rows[0].external_id])
    late = list(together.given_together(scene.agent, at=at).filter(undone_at__isnull=True))
    assert not undo_together(late, person=scene.agent, at=at + timedelta(seconds=60)).done


def test_the_list_takes_the_same_queries_for_fifty_tickets_as_for_five(scene: Scene) -> None:
    rows, client = storm(scene, 5), client_of(scene.agent)
    path = f"{reverse('together')}?t={rows[0].pk}"
    few = queries(client, path)
    storm(scene, 45)
    assert queries(client, path) == few <= 20


def test_a_group_larger_than_the_list_says_how_many_are_left(scene: Scene) -> None:
    rows = storm(scene, 103)
    page = client_of(scene.agent).get(reverse("together"), {"t": rows[0].pk}).content.decode()
    assert "Decide 100 tickets at once" in page
    assert "3 more that read alike" in page
