"""A run while it goes on: its output in pieces, its end asked for, and a worker that goes on with another's jobs."""

import json
import threading
import time
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest
from django.db import connection
from django.utils import timezone

from runbooks.base import Runbook
from runbooks.outcome import Outcome
from runbooks.registry import RUNBOOKS
from runbooks.runners import remote
from runbooks.runners.remote import Seen
from runbooks.watch import QUIET, Watch
from tests import factories
from tests.runs import Scene
from triage import execution, recovery, stuck, watching
from triage.models import Run, RunbookState, RunPiece, Ticket

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("lake")]
SECRET = "s3cret-of-the-target"
STEPS = """
import time
def pre_check(context): print("looking with s3cret-of-the-target")
def action(context):
    print("acting")
    time.sleep(float(context.parameters.get("account") == "a.locked") * 30)
def post_check(context): pass
def undo(context): pass
def undo_check(context): pass
"""


@pytest.fixture
def scene(tmp_path: Path) -> Scene:
    return Scene(tmp_path)


def test_what_a_run_writes_is_there_while_it_runs_and_it_ends_when_a_person_says_so(
    scene: Scene, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "unlock_account"
    folder.mkdir()
    (folder / "steps.py").write_text(STEPS)
    book = RUNBOOKS["unlock_account"].model_copy(update={"folder": folder, "time_limit": 60})
    monkeypatch.setattr(execution, "RUNBOOKS", {book.key: book})
    scene.target.settings = json.dumps({"path": str(scene.path), "secret": SECRET})
    scene.target.save()
    run = scene.request()
    Run.objects.update(action_digest=book.action_digest)

    def work() -> None:
        execution.execute(run.pk, at=timezone.now())
        connection.close()

    thread = threading.Thread(target=work)
    began = time.monotonic()
    thread.start()
    while not RunPiece.objects.filter(run=run, text__contains="acting").exists() and time.monotonic() - began < 20:
        time.sleep(0.1)
    shown = "".join(RunPiece.objects.filter(run=run).order_by("pk").values_list("text", flat=True))
    assert "looking with ****" in shown
    assert SECRET not in shown
    run.refresh_from_db()
    assert run.phase == "action"
    person = factories.person()
    watching.ask_to_stop(run, person=person, at=timezone.now())
    with pytest.raises(watching.NotStopped):
        watching.ask_to_stop(run, person=person, at=timezone.now())
    thread.join(15)
    run.refresh_from_db()
    assert run.status == Run.Status.UNKNOWN
    assert f"ended by {person}" in run.reason
    assert not run.pieces.exists()
    assert "acting" in run.output
    assert time.monotonic() - began < 20


ELSEWHERE = RUNBOOKS["unlock_account"].model_copy(update={"runner": "elsewhere"})


class Elsewhere:
    """A job system in memory: jobs end well when they are let, and each launch is counted."""

    def __init__(self) -> None:
        self.launched: list[str] = []
        self.hold = ""
        self.reached = threading.Event()

    def launch(self, phase: str) -> str:
        self.launched.append(phase)
        return str(len(self.launched))

    def find(self, phase: str) -> list[str]:
        return [str(number) for number, launched in enumerate(self.launched, 1) if launched == phase]

    def look(self, job: str) -> Seen:
        if self.launched[int(job) - 1] == self.hold:
            self.reached.set()
            return Seen("running")
        return Seen("succeeded", output=f"{self.launched[int(job) - 1]} done\n")

    def cancel(self, job: str) -> None:
        raise AssertionError(f"nobody may end job {job}")

    def run(self, runbook: Runbook, *, watch: Watch = QUIET, job: str = "", **_: object) -> Outcome:
        return remote.lead(runbook, self, job=job, clean=str, watch=watch)


@pytest.fixture
def elsewhere(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> Iterator[Elsewhere]:
    jobs = Elsewhere()
    monkeypatch.setattr(execution, "RUNNERS", {"elsewhere": jobs.run})
    for module in (execution, stuck):
        monkeypatch.setattr(module, "RESUMABLE", frozenset({"elsewhere"}))
        monkeypatch.setattr(module, "RUNBOOKS", {ELSEWHERE.key: ELSEWHERE})
    yield jobs
    jobs.hold = ""


def requested(scene: Scene) -> Run:
    run = scene.request()
    Run.objects.update(action_digest=ELSEWHERE.action_digest)
    return run


class Killed(BaseException):
    """Stands for kill -9: nothing in the product catches it."""


@pytest.mark.parametrize("phase", ["pre_check", "action", "post_check"])
def test_a_lost_worker_makes_no_healthy_job_unknown(
    scene: Scene, elsewhere: Elsewhere, phase: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = requested(scene)
    look = elsewhere.look

    def dies(job: str) -> Seen:
        if elsewhere.launched[int(job) - 1] == phase:
            raise Killed
        return look(job)

    with monkeypatch.context() as first:
        first.setattr(elsewhere, "look", dies)
        with pytest.raises(Killed):
            execution.execute(run.pk, at=timezone.now())
    later = timezone.now() + timedelta(minutes=5)
    found = recovery.sweep(at=later)
    assert (found.unknown, ("execute_run", (run.pk,)) in found.bells) == (0, True)
    assert execution.execute(run.pk, at=later)
    run.refresh_from_db()
    scene.ticket.refresh_from_db()
    assert (run.status, scene.ticket.status) == (Run.Status.SUCCEEDED, Ticket.Status.RESOLVED), run.reason
    assert elsewhere.launched == ["pre_check", "action", "post_check"]
    assert not execution.execute(run.pk, at=later + timedelta(minutes=5))


def test_a_launch_that_was_lost_with_its_worker_is_unknown_only_where_no_job_is_found(
    scene: Scene, elsewhere: Elsewhere, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = requested(scene)
    launch = elsewhere.launch

    def dies(phase: str) -> str:
        if phase == "action":
            raise Killed
        return launch(phase)

    with monkeypatch.context() as first:
        first.setattr(elsewhere, "launch", dies)
        with pytest.raises(Killed):
            execution.execute(run.pk, at=timezone.now())
    monkeypatch.setattr(remote, "FIND_SECONDS", (0.0, 0.0))
    assert execution.execute(run.pk, at=timezone.now() + timedelta(minutes=5))
    run.refresh_from_db()
    assert (run.status, elsewhere.launched) == (Run.Status.UNKNOWN, ["pre_check"])


def test_an_action_is_not_begun_by_another_worker_on_a_pre_check_of_long_ago(
    scene: Scene, elsewhere: Elsewhere, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = requested(scene)

    def dies(job: str) -> Seen:
        raise Killed

    with monkeypatch.context() as first:
        first.setattr(elsewhere, "look", dies)
        with pytest.raises(Killed):
            execution.execute(run.pk, at=timezone.now())
    long_ago = timezone.now() - timedelta(seconds=ELSEWHERE.time_limit + 1)
    Run.objects.update(started_at=long_ago)
    assert execution.execute(run.pk, at=timezone.now() + timedelta(minutes=5))
    run.refresh_from_db()
    assert (run.status, elsewhere.launched) == (Run.Status.FAILED, ["pre_check"])
    assert "too old" in run.reason


def test_a_python_run_is_never_taken_over(scene: Scene) -> None:
    run = scene.request()
    claimed = execution._claim(run.pk, at=timezone.now())
    assert claimed is not None
    assert execution._commit_starting(claimed, RUNBOOKS["unlock_account"])
    before = Run.objects.get().fence
    assert not execution.execute(run.pk, at=timezone.now() + timedelta(hours=1))
    assert Run.objects.get().fence == before


def test_a_worker_whose_run_was_taken_over_launches_and_records_nothing_more(
    scene: Scene, elsewhere: Elsewhere
) -> None:
    run = requested(scene)
    elsewhere.hold = "action"
    results: list[bool] = []

    def slow() -> None:
        results.append(execution.execute(run.pk, at=timezone.now()))
        connection.close()

    thread = threading.Thread(target=slow)
    thread.start()
    assert elsewhere.reached.wait(20)
    taken = watching.take_over(run.pk, runbooks=[ELSEWHERE.key], at=timezone.now() + timedelta(minutes=5))
    assert taken is not None
    elsewhere.hold = ""
    thread.join(20)
    assert elsewhere.launched == ["pre_check", "action"]
    run.refresh_from_db()
    assert run.status == Run.Status.STARTING
    Run.objects.update(claim_until=timezone.now())
    assert execution.execute(run.pk, at=timezone.now() + timedelta(seconds=1))
    run.refresh_from_db()
    assert (run.status, elsewhere.launched) == (Run.Status.SUCCEEDED, ["pre_check", "action", "post_check"])


def test_a_job_that_nobody_can_follow_for_too_long_is_unknown(scene: Scene, elsewhere: Elsewhere) -> None:
    run = requested(scene)
    claimed = execution._claim(run.pk, at=timezone.now())
    assert claimed is not None
    assert execution._commit_starting(claimed, ELSEWHERE)
    assert recovery.sweep(at=timezone.now() + timedelta(hours=3)).unknown == 1


def test_an_action_that_changed_elsewhere_is_not_run_and_takes_a_person(
    scene: Scene, elsewhere: Elsewhere, monkeypatch: pytest.MonkeyPatch
) -> None:
    from triage import versions

    said = ["a" * 64]
    monkeypatch.setattr(versions, "VERSIONS", {"elsewhere": lambda *_, **__: said[0]})
    book = ELSEWHERE
    assert versions.unread(scene.customer, book)
    assert versions.changed(scene.customer, book, target={}, at=timezone.now())
    assert versions.unread(scene.customer, book) is None
    run = scene.request()
    Run.objects.update(action_digest=versions.digest(scene.customer, book))
    said[0] = "b" * 64
    assert not execution.execute(run.pk, at=timezone.now())
    run.refresh_from_db()
    assert (run.status, elsewhere.launched) == (Run.Status.VOID, [])
    assert "has changed" in run.reason
    assert RunbookState.objects.get(runbook=book.key).action_version == said[0]
