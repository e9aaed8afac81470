"""One run from request to record, on a real directory, with a real lake and a real child process."""

import json
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from django.utils import timezone

from runbooks.registry import RUNBOOKS
from runbooks.targets.directory import LOCKED_BY_FAILED_LOGINS, Account, SqliteDirectory, create
from tests import factories, servers
from triage import automation, execution, recovery
from triage.embedded import Endpoints
from triage.lake import layout
from triage.models import (
    Certificate,
    Customer,
    Decision,
    Mode,
    Notification,
    Registration,
    Release,
    Run,
    RunbookState,
    Ticket,
    Writeback,
)

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("lake")]
ACTOR = "system:test"


class Scene:
    """A customer with a directory, a valid certificate and a ticket whose decision is to unlock an account."""

    def __init__(self, folder: Path, **decision: Any) -> None:
        self.at = timezone.now()
        self.path = folder / "directory.sqlite3"
        reason = LOCKED_BY_FAILED_LOGINS
        create(
            self.path,
            [
                Account("a.locked", "A Locked", "a@example.org", locked=True, lock_reason=reason),
                Account("b.boss", "B Boss", "b@example.org", locked=True, lock_reason=reason, privileged=True),
            ],
        )
        self.customer = factories.customer(mode=Mode.AUTOMATE)
        self.source = factories.source(customer=self.customer)
        self.target = factories.target(self.customer, settings=json.dumps({"path": str(self.path)}))
        self.certificate = certificate(self.customer, at=self.at)
        self.ticket = self.new_ticket()
        self.decision = self.decide(self.ticket, **decision)

    def new_ticket(self, **values: Any) -> Ticket:
        return factories.ticket(source=self.source, status=Ticket.Status.CLASSIFIED, **values)

    def decide(self, ticket: Ticket, account: str = "a.locked", **values: Any) -> Decision:
        return factories.decision(
            ticket,
            mode=Mode.AUTOMATE,
            runbook="unlock_account",
            parameters={"account": account},
            certificate=self.certificate,
            expires_at=self.at + timedelta(minutes=30),
            **values,
        )

    def request(self, ticket: Ticket | None = None, decision: Decision | None = None) -> Run:
        run = automation.request(
            ticket=ticket or self.ticket, decision=decision or self.decision, at=self.at, actor=ACTOR
        )
        assert run is not None
        return run

    def effects(self) -> int:
        directory = SqliteDirectory(self.path)
        try:
            return len(directory.effects())
        finally:
            directory.close()


def certificate(customer: Customer, *, at: datetime) -> Certificate:
    release = factories.release(customer, status=Release.Status.IN_FORCE)
    common: dict[str, Any] = {
        "customer": customer, "release": release, "gate": "0" * 64, "runbooks": ["unlock_account"], "alpha": 0.05,
        "delta": 0.004, "basis": "history",
    }  # fmt: skip
    registration = Registration.objects.create(**common, gate_parts={}, plan={}, registered_at=at)
    return Certificate.objects.create(
        **common, registration=registration, threshold=0.9, n=200, errors=0, upper_bound=0.03, sentence="", breaks=[],
        action_digests={}, window_from=at, window_until=at, issued_at=at, expires_at=at + timedelta(days=90),
    )  # fmt: skip


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
    Decision.objects.filter(pk=scene.decision.pk).update(parameters={"account": "b.boss"})
    scene.decision.refresh_from_db()
    run = scene.request()
    execution.execute(run.pk, at=timezone.now())
    run.refresh_from_db()
    scene.ticket.refresh_from_db()
    assert (run.status, scene.ticket.status) == (Run.Status.FAILED, Ticket.Status.NEEDS_REVIEW)
    assert "privileged" in scene.ticket.reason
    assert scene.effects() == 0


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda s: Certificate.objects.update(revoked_at=s.at), "certificate is no longer valid"),
        (lambda s: Decision.objects.update(expires_at=s.at - timedelta(seconds=1)), "decision has expired"),
        (lambda s: Decision.objects.update(in_force=False), "decision has expired"),
        (lambda s: Customer.objects.update(mode=Mode.APPROVE), "no longer allows"),
        (lambda s: Ticket.objects.update(text_hash="1" * 64), "text has changed"),
        (lambda s: Run.objects.update(action_digest="1" * 64), "runbook has changed"),
    ],
)
def test_what_changed_since_the_decision_stops_the_start(scene: Scene, change: Any, words: str) -> None:
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


def test_a_database_restored_to_before_the_start_does_not_start_again(scene: Scene, lake: Endpoints) -> None:
    run = scene.request()
    key = layout.claim_key(str(scene.source.uuid), scene.ticket.external_id, "unlock_account", 1)
    servers.store(lake).put(key, b"the run of another life", if_absent=True)
    assert not execution.execute(run.pk, at=timezone.now())
    run.refresh_from_db()
    assert run.status == Run.Status.VOID
    assert "started before" in run.reason
    assert scene.effects() == 0


def test_a_worker_lost_between_lake_and_start_is_followed_by_one_that_goes_on(scene: Scene, lake: Endpoints) -> None:
    run = scene.request()
    key = layout.claim_key(str(scene.source.uuid), scene.ticket.external_id, "unlock_account", 1)
    servers.store(lake).put(key, str(run.uuid).encode(), if_absent=True)
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


def test_a_second_ticket_for_the_same_account_goes_to_a_person_while_a_run_lives(scene: Scene) -> None:
    scene.request()
    second = scene.new_ticket()
    assert automation.request(ticket=second, decision=scene.decide(second), at=scene.at, actor=ACTOR) is None
    second.refresh_from_db()
    assert second.status == Ticket.Status.NEEDS_REVIEW
    assert "under way" in second.reason


def test_equal_machine_alerts_link_to_the_storms_run_and_resolve_with_it(scene: Scene) -> None:
    alerts = [scene.new_ticket(actor=Ticket.Actor.MACHINE, storm_key="5" * 64) for _ in range(4)]
    run = scene.request(alerts[0], scene.decide(alerts[0]))
    for alert in alerts[1:3]:
        automation.request(ticket=alert, decision=scene.decide(alert), at=scene.at, actor=ACTOR)
    execution.execute(run.pk, at=timezone.now())
    automation.request(ticket=alerts[3], decision=scene.decide(alerts[3]), at=scene.at, actor=ACTOR)
    statuses = set(Ticket.objects.filter(pk__in=[alert.pk for alert in alerts]).values_list("status", flat=True))
    assert statuses == {Ticket.Status.RESOLVED}
    assert Run.objects.count() == 1
    assert scene.effects() == 1


def test_three_failures_open_the_circuit_and_a_person_closes_it(scene: Scene) -> None:
    runbook = RUNBOOKS["unlock_account"]
    at = timezone.now()
    for number in range(runbook.limits.circuit_failures):
        ticket = scene.new_ticket()
        Run.objects.create(
            customer=scene.customer, ticket=ticket, runbook=runbook.key, target=scene.target, text_hash="0" * 64,
            target_object=f"x{number}", action_digest=runbook.action_digest, status=Run.Status.UNDONE,
            requested_at=at, finished_at=at, phases=[{"phase": "undo_check"}],
        )  # fmt: skip
    assert "circuit is open" in (automation.obstacle(customer=scene.customer, runbook=runbook, at=at) or "")
    RunbookState.objects.create(customer=scene.customer, runbook=runbook.key, circuit_closed_at=at)
    assert automation.obstacle(customer=scene.customer, runbook=runbook, at=at) is None


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
