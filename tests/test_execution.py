"""One run from request to record, on a real directory, with a real lake and a real child process."""

import json
import threading
import uuid
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from django.db import connection
from django.utils import timezone

from runbooks.registry import RUNBOOKS
from tests import factories, servers
from tests.runs import ACTOR, Scene
from triage import automation, execution, obstacles, recovery
from triage.embedded import Endpoints
from triage.lake import claims
from triage.models import (
    Article,
    Certificate,
    Customer,
    Decision,
    Draw,
    Mode,
    Notification,
    Release,
    Run,
    RunbookState,
    Ticket,
    Writeback,
)

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("lake")]


@pytest.fixture
def scene(tmp_path: Path) -> Scene:
    return Scene(tmp_path)


def test_a_run_changes_the_target_resolves_the_ticket_and_tells_the_itsm(scene: Scene) -> None:
    run = scene.request()
    scene.ticket.refresh_from_db()
    assert scene.ticket.status == Ticket.Status.QUEUED
    assert execution.execute(run.pk, at=timezone.now())
    run.refresh_from_db()
    scene.ticket.refresh_from_db()
    assert (run.status, scene.ticket.status) == (Run.Status.SUCCEEDED, Ticket.Status.RESOLVED)
    assert [phase["phase"] for phase in run.phases] == ["pre_check", "action", "post_check"]
    assert scene.effects() == 1
    assert Writeback.objects.get(ticket=scene.ticket).what == "resolve"


def test_a_doubled_message_or_request_has_one_effect(scene: Scene) -> None:
    run = scene.request()
    assert automation.request(ticket=scene.ticket, decision=scene.decision, at=scene.at, actor=ACTOR) is None
    assert [execution.execute(run.pk, at=timezone.now()) for _ in range(3)] == [True, False, False]
    assert scene.effects() == 1


def test_a_pre_check_that_says_no_changes_nothing_and_asks_a_person(scene: Scene) -> None:
    Decision.objects.update(in_force=False)
    run = scene.request(decision=scene.decide(scene.ticket, "d.held"))
    execution.execute(run.pk, at=timezone.now())
    run.refresh_from_db()
    scene.ticket.refresh_from_db()
    assert (run.status, scene.ticket.status) == (Run.Status.FAILED, Ticket.Status.NEEDS_REVIEW)
    assert "security" in scene.ticket.reason
    assert scene.effects() == 0


def test_values_that_no_longer_fit_their_target_stop_the_start(scene: Scene) -> None:
    Decision.objects.update(in_force=False)
    run = scene.request(decision=scene.decide(scene.ticket, "b.boss"))
    assert not execution.execute(run.pk, at=timezone.now())
    run.refresh_from_db()
    assert run.status == Run.Status.VOID
    assert "privileged" in run.reason


def _replace(scene: Scene) -> None:
    """The customer's own article takes the place of the shared one."""
    factories.article(key="OWN1", customer=scene.customer, translation_group=scene.decision.article)


def test_a_run_whose_article_still_leads_to_it_starts_and_a_retired_one_stops_no_persons_order(scene: Scene) -> None:
    row = factories.article(key=scene.decision.article, runbook="unlock_account")
    other = scene.new_ticket()
    assert execution.execute(scene.request().pk, at=timezone.now())
    scene.ticket, scene.decision = other, scene.decide(other, "c.locked")
    row.retired_at = timezone.now()
    row.save()
    assert execution.execute(scene.order().pk, at=timezone.now())
    assert scene.effects() == 2


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda s: Certificate.objects.update(revoked_at=s.at), "certificate is no longer valid"),
        (lambda s: Decision.objects.update(expires_at=s.at - timedelta(seconds=1)), "decision has expired"),
        (lambda s: Decision.objects.update(in_force=False), "decision has expired"),
        (lambda s: Customer.objects.update(mode=Mode.APPROVE), "no longer allows"),
        (lambda s: Ticket.objects.update(text_hash="1" * 64), "text has changed"),
        (lambda s: Run.objects.update(action_digest="1" * 64), "runbook has changed"),
        (lambda s: Certificate.objects.update(runbooks=["add_to_group"]), "does not cover"),
        (lambda s: Release.objects.update(status=Release.Status.RETIRED), "Another model is in force"),
        (lambda s: factories.draw(s.ticket, Draw.Purpose.HOLDOUT), "drawn for a person"),
        (lambda _: Article.objects.update(retired_at=timezone.now()), "article was retired"),
        (lambda _: Article.objects.update(runbook="restart_service"), "leads to another runbook"),
        (_replace, "leads to another runbook, or to none"),
        (lambda _: Customer.objects.update(alpha_by_tier={"low": 0.01, "medium": 0.01}), "stricter certificate"),
    ],
)
def test_what_changed_since_the_decision_stops_the_start(scene: Scene, change: Any, words: str) -> None:
    factories.article(key=scene.decision.article, runbook="unlock_account")
    run = scene.request()
    change(scene)
    assert not execution.execute(run.pk, at=timezone.now())
    run.refresh_from_db()
    scene.ticket.refresh_from_db()
    assert (run.status, scene.ticket.status) == (Run.Status.VOID, Ticket.Status.NEEDS_REVIEW)
    assert words in scene.ticket.reason
    assert scene.effects() == 0


def test_the_kill_switch_holds_a_requested_run_without_counting_a_try(scene: Scene) -> None:
    run = scene.request()
    Customer.objects.update(automation_enabled=False)
    assert not execution.execute(run.pk, at=timezone.now())
    run.refresh_from_db()
    assert (run.status, run.attempts) == (Run.Status.REQUESTED, 0)
    assert run.hold_until is not None
    assert not execution.execute(run.pk, at=timezone.now()), "held runs wait"
    Customer.objects.update(automation_enabled=True)
    assert execution.execute(run.pk, at=timezone.now() + timedelta(seconds=6))
    assert scene.effects() == 1


def test_a_switch_that_goes_off_after_the_look_still_stops_the_start(scene: Scene) -> None:
    claimed = execution._claim(scene.request().pk, at=timezone.now())
    assert claimed is not None
    Customer.objects.update(automation_enabled=False)
    assert not execution._commit_starting(claimed, RUNBOOKS["unlock_account"])
    claimed.refresh_from_db()
    assert (claimed.status, claimed.attempts) == (Run.Status.REQUESTED, 0)


def test_two_workers_never_both_start_the_last_run_that_a_limit_allows(scene: Scene) -> None:
    RunbookState.objects.create(customer=scene.customer, runbook="unlock_account", runs_an_hour=1)
    other = scene.new_ticket()
    runs = [scene.request(), scene.request(other, scene.decide(other, "b.boss"))]
    claimed = [execution._claim(run.pk, at=timezone.now()) for run in runs]
    started = [execution._commit_starting(run, RUNBOOKS["unlock_account"]) for run in claimed if run]
    assert started == [True, False]
    runs[1].refresh_from_db()
    assert (runs[1].status, runs[1].attempts) == (Run.Status.REQUESTED, 0)
    assert "started within the hour, which is the limit, until" in runs[1].reason


def test_a_switch_that_goes_off_during_the_pre_check_stops_the_action(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = scene.request()
    commit = execution._commit_starting

    def then_off(*given: Any) -> bool:
        started = commit(*given)
        Customer.objects.update(automation_enabled=False)
        return started

    monkeypatch.setattr(execution, "_commit_starting", then_off)
    assert execution.execute(run.pk, at=timezone.now())
    run.refresh_from_db()
    assert (run.status, scene.effects()) == (Run.Status.FAILED, 0)
    assert "switched off" in run.reason
    assert not obstacles.circuit_of(scene.customer, RUNBOOKS["unlock_account"]).wrong


def test_many_workers_with_one_message_each_start_the_run_once(scene: Scene) -> None:
    run = scene.request()
    started: list[bool] = []

    def work() -> None:
        started.append(execution.execute(run.pk, at=timezone.now()))
        connection.close()

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(started) == [False, False, False, True]
    assert scene.effects() == 1


def test_a_persons_word_is_good_for_half_an_hour(scene: Scene) -> None:
    run = scene.order()
    Customer.objects.update(automation_enabled=False)
    late = scene.at + timedelta(minutes=31)
    assert not execution.execute(run.pk, at=late)
    assert recovery.sweep(at=late).handed_over == 1
    run.refresh_from_db()
    scene.ticket.refresh_from_db()
    assert (run.status, scene.ticket.status) == (Run.Status.VOID, Ticket.Status.NEEDS_REVIEW)


def test_an_order_is_looked_at_again_too(scene: Scene) -> None:
    run = scene.order()
    Decision.objects.update(in_force=False)
    assert not execution.execute(run.pk, at=timezone.now())
    run.refresh_from_db()
    assert run.status == Run.Status.VOID
    assert scene.effects() == 0


@pytest.mark.parametrize(
    ("seen", "words"),
    [
        ({"status": "closed"}, "closed or taken elsewhere"),
        ({"status": "in progress"}, "status has changed"),
        ({"body": "Never mind, it works again."}, "text has changed in the ITSM"),
    ],
)
@pytest.mark.parametrize("ordered", [False, True])
def test_what_the_itsm_says_now_stops_the_start(
    scene: Scene, tmp_path: Path, seen: dict[str, str], words: str, ordered: bool
) -> None:
    Ticket.objects.update(itsm_status="new")
    run = scene.order() if ordered else scene.request()
    told = {"external_id": scene.ticket.external_id, "subject": scene.ticket.subject, "body": scene.ticket.body}
    with servers.files(
        tmp_path / "itsm", {scene.ticket.external_id: json.dumps({**told, "status": "new", **seen})}
    ) as url:
        scene.read_from(url)
        assert not execution.execute(run.pk, at=timezone.now())
    run.refresh_from_db()
    assert run.status == Run.Status.VOID
    assert words in run.reason
    assert scene.effects() == 0


def test_an_itsm_that_does_not_answer_holds_the_run_and_an_unchanged_ticket_runs(scene: Scene, tmp_path: Path) -> None:
    run = scene.request()
    scene.read_from("http://127.0.0.1:9")
    assert not execution.execute(run.pk, at=timezone.now())
    run.refresh_from_db()
    assert (run.status, run.attempts) == (Run.Status.REQUESTED, 0)
    told = {"external_id": scene.ticket.external_id, "subject": scene.ticket.subject, "body": scene.ticket.body}
    with servers.files(tmp_path / "itsm", {scene.ticket.external_id: json.dumps({**told, "status": "new"})}) as url:
        scene.read_from(url)
        assert execution.execute(run.pk, at=timezone.now() + timedelta(seconds=11))
    assert scene.effects() == 1


def test_a_target_whose_settings_cannot_be_read_is_found_before_the_start(scene: Scene) -> None:
    run = scene.request()
    scene.target.settings = "no JSON"
    scene.target.save()
    with pytest.raises(ValueError, match="Expecting value"):
        execution.execute(run.pk, at=timezone.now())
    run.refresh_from_db()
    assert run.status == Run.Status.CLAIMED, "it is tried again, and nothing counts as started"


def test_a_database_restored_to_before_the_start_does_not_start_again(scene: Scene, lake: Endpoints) -> None:
    run = scene.request()
    other = replace(execution._lake_claim(run), run=str(uuid.uuid4()))
    assert claims.take(servers.store(lake), other)
    assert not execution.execute(run.pk, at=timezone.now())
    run.refresh_from_db()
    assert run.status == Run.Status.VOID
    assert "started before" in run.reason
    assert scene.effects() == 0


def test_a_worker_lost_between_lake_and_start_is_followed_by_one_that_goes_on(scene: Scene, lake: Endpoints) -> None:
    run = scene.request()
    assert claims.take(servers.store(lake), execution._lake_claim(run))
    assert execution.execute(run.pk, at=timezone.now())
    assert scene.effects() == 1


def test_a_lost_claim_is_tried_again_three_times_and_then_goes_to_a_person(scene: Scene) -> None:
    run = scene.request()
    at = timezone.now()
    for attempt in range(1, 4):
        assert execution._claim(run.pk, at=at) is not None
        at += timedelta(minutes=5)
        found = recovery.sweep(at=at)
        assert (found.returned, found.handed_over) == ((1, 0) if attempt < 3 else (0, 1))
        assert (("execute_run", (run.pk,)) in found.bells) == (attempt < 3)
    scene.ticket.refresh_from_db()
    assert scene.ticket.status == Ticket.Status.NEEDS_REVIEW
    assert scene.effects() == 0


def test_a_run_lost_after_its_start_is_unknown_and_never_tried_again(scene: Scene) -> None:
    run = scene.request()
    claimed = execution._claim(run.pk, at=timezone.now())
    assert claimed is not None
    assert execution._commit_starting(claimed, RUNBOOKS["unlock_account"])
    later = timezone.now() + timedelta(minutes=5)
    assert recovery.sweep(at=later).unknown == 1
    run.refresh_from_db()
    scene.ticket.refresh_from_db()
    assert (run.status, scene.ticket.status) == (Run.Status.UNKNOWN, Ticket.Status.NEEDS_REVIEW)
    assert not execution.execute(run.pk, at=later)
    assert ("execute_run", (run.pk,)) not in recovery.sweep(at=later + timedelta(minutes=5)).bells
    assert Notification.objects.filter(kind="run_unknown").count() == 1


def test_a_worker_whose_claim_was_taken_over_cannot_start(scene: Scene) -> None:
    run = scene.request()
    slow = execution._claim(run.pk, at=timezone.now())
    assert slow is not None
    later = timezone.now() + timedelta(minutes=5)
    recovery.sweep(at=later)
    quick = execution._claim(run.pk, at=later)
    assert quick is not None
    assert not execution._commit_starting(slow, RUNBOOKS["unlock_account"])
    assert execution._commit_starting(quick, RUNBOOKS["unlock_account"])


def test_a_lake_that_is_away_holds_the_run(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    from triage.environment import environment

    run = scene.request()
    with monkeypatch.context() as outage:
        outage.setenv("TRIAGE_LAKE_ENDPOINT", "http://127.0.0.1:9")
        environment.cache_clear()
        assert not execution.execute(run.pk, at=timezone.now())
    environment.cache_clear()
    run.refresh_from_db()
    assert run.status == Run.Status.REQUESTED
    assert "lake" in run.reason
    assert execution.execute(run.pk, at=timezone.now() + timedelta(seconds=11))
    assert scene.effects() == 1
