"""The Python runner with real child processes: what each way of ending means, and that nothing outlives a run."""

import os
import signal
import subprocess
import sys
import time
import uuid
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psutil
import pytest

from runbooks import process
from runbooks.base import Resources, Runbook
from runbooks.outcome import Outcome
from runbooks.runners import python
from runbooks.targets.journal import Journal
from runbooks.watch import Watch

Behave = Callable[..., Outcome]


def wait_until(done: Callable[[], object], *, seconds: float = 15.0) -> None:
    give_up = time.monotonic() + seconds
    while not done():
        assert time.monotonic() < give_up, "it did not happen in time"
        time.sleep(0.02)


def whats(journal: Journal) -> list[str]:
    return [entry.what for entry in journal.entries()]


def test_a_run_whose_post_check_agrees_has_succeeded(behave: Behave, journal: Journal) -> None:
    outcome = behave(action="write+note")
    assert (outcome.status, outcome.phase) == ("succeeded", "post_check")
    assert [(result.phase, result.ok) for result in outcome.phases] == [
        ("pre_check", True),
        ("action", True),
        ("post_check", True),
    ]
    assert outcome.remembered == {"before": 42}
    assert whats(journal) == ["action"]


def test_a_refusal_changes_nothing_and_never_asks_to_start(behave: Behave, journal: Journal) -> None:
    started: list[str] = []
    outcome = behave(pre_check="refuse", action="write", options={"watch": Watch(on_start=lambda: started.append("x"))})
    assert (outcome.status, outcome.message, outcome.changed_nothing) == ("refused", "refused in pre_check", True)
    assert not started
    assert whats(journal) == []


@pytest.mark.parametrize("how", ["fail", "not_done", "leave", "killed", "vanish"])
def test_whatever_ends_before_the_action_has_failed_and_changed_nothing(
    behave: Behave, journal: Journal, how: str
) -> None:
    outcome = behave(pre_check=how, action="write")
    assert (outcome.status, outcome.phase) == ("failed", "pre_check")
    assert outcome.message.endswith("nothing was changed")
    assert outcome.changed_nothing
    assert whats(journal) == []


def test_a_pre_check_cannot_write_to_the_target(behave: Behave, journal: Journal) -> None:
    outcome = behave(pre_check="write", action="write")
    assert outcome.status == "failed"
    assert "readonly" in outcome.message
    assert whats(journal) == []


def test_the_post_check_decides_and_not_the_exception_of_the_action(behave: Behave) -> None:
    for how in ("fail", "leave"):
        outcome = behave(action=f"write+{how}")
        assert outcome.status == "succeeded"
        assert outcome.message.startswith("The action reported ")
        assert not outcome.phases[1].ok


@pytest.mark.parametrize("how", ["not_done", "fail", "leave"])
def test_a_failing_post_check_runs_the_undo_and_its_check(behave: Behave, journal: Journal, how: str) -> None:
    outcome = behave(action="write", post_check=how, undo="write")
    assert (outcome.status, outcome.phase) == ("undone", "undo_check")
    assert outcome.message.endswith("The former state is back.")
    assert whats(journal) == ["action", "undo"]


def test_the_undo_check_decides_over_the_undo(behave: Behave) -> None:
    assert behave(post_check="not_done", undo="fail").status == "undone"
    for phases in ({"undo_check": "not_done"}, {"undo_check": "fail"}, {"undo": "fail", "undo_check": "not_done"}):
        outcome = behave(post_check="not_done", **phases)
        assert outcome.status == "undo_failed"
        assert "The former state is not back" in outcome.message


def test_what_cannot_be_undone_has_failed_and_is_not_said_to_have_changed_nothing(
    behave: Behave, journal: Journal
) -> None:
    outcome = behave(reversible=False, action="write", post_check="not_done", undo="write")
    assert (outcome.status, outcome.changed_nothing) == ("failed", False)
    assert whats(journal) == ["action"]


@pytest.mark.parametrize("phase", ["action", "post_check", "undo", "undo_check"])
@pytest.mark.parametrize("how", ["killed", "vanish"])
def test_a_child_that_dies_after_the_action_began_leaves_an_unknown(behave: Behave, phase: str, how: str) -> None:
    others = {"post_check": "not_done"} if phase.startswith("undo") else {}
    outcome = behave(**(others | {phase: how}))
    assert (outcome.status, outcome.phase) == ("unknown", phase)
    assert "nobody knows" in outcome.message
    assert ("SIGKILL" in outcome.message) == (how == "killed")


def test_the_state_before_survives_the_death_of_the_child(behave: Behave) -> None:
    assert behave(action="note+killed").remembered == {"before": 42}


def test_the_action_waits_for_the_callers_word(behave: Behave, journal: Journal) -> None:
    seen: list[tuple[str, list[str]]] = []
    behave(
        action="write",
        options={
            "watch": Watch(
                on_start=lambda: seen.append(("start", whats(journal))), on_phase=lambda phase: seen.append((phase, []))
            ),
        },
    )
    assert [what for what, _ in seen] == ["pre_check", "start", "action", "post_check"]
    assert seen[1] == ("start", [])


def test_an_error_of_the_caller_stops_the_run_before_the_action(behave: Behave, journal: Journal) -> None:
    def refuse() -> None:
        raise LookupError("the row is gone")

    with pytest.raises(LookupError, match="the row is gone"):
        behave(action="write", options={"watch": Watch(on_start=refuse)})
    assert whats(journal) == []


def test_an_error_in_showing_progress_ends_nothing(behave: Behave, caplog: pytest.LogCaptureFixture) -> None:
    def broken(phase: str) -> None:
        raise OSError(f"no page for {phase}")

    assert behave(action="write", options={"watch": Watch(on_phase=broken)}).status == "succeeded"
    assert "on_phase failed" in caplog.text


@pytest.mark.parametrize(
    ("phase", "status"), [("pre_check", "failed"), ("action", "unknown"), ("post_check", "unknown")]
)
def test_the_time_limit_ends_the_whole_family(behave: Behave, phase: str, status: str) -> None:
    began = time.monotonic()
    outcome = behave(options={"time_limit": 1.5}, **{phase: "family+hang"})
    assert time.monotonic() - began < 7
    assert (outcome.status, outcome.phase) == (status, phase)
    assert "the time limit of 1.5 s was reached" in outcome.message


def test_the_undo_has_time_of_its_own(behave: Behave) -> None:
    outcome = behave(action="nap", post_check="not_done", undo="nap", options={"time_limit": 2.0})
    assert outcome.status == "undone"


def test_what_a_finished_run_leaves_running_is_ended(behave: Behave) -> None:
    outcome = behave(action="family")
    assert outcome.status == "succeeded"
    assert "3 processes that it left behind were ended." in outcome.message


def test_a_dead_child_takes_its_family_along(behave: Behave) -> None:
    assert behave(action="family+killed").status == "unknown"


def test_too_many_processes_end_the_run(behave: Behave) -> None:
    outcome = behave(action="crowd", resources=Resources(processes=6))
    assert outcome.status == "unknown"
    assert "more than 6 processes" in outcome.message


def test_memory_processor_time_and_file_size_are_bounded(behave: Behave, tmp_path: Path) -> None:
    small = Resources(memory_mb=256, cpu_seconds=1, file_mb=1)
    assert "MemoryError" in behave(action="memory", resources=small).message
    assert "SIGXCPU" in behave(action="burn", resources=small).message
    assert "OSError" in behave(action="big_file", folder=str(tmp_path), resources=small).message
    assert behave(action="memory").status == "succeeded"


def test_the_output_keeps_head_and_tail_and_says_what_was_cut(behave: Behave) -> None:
    output = behave(action="flood").output
    assert len(output.encode()) <= 1024 * 1024
    assert output.startswith("first line\nxxx")
    assert output.endswith("xxx\nlast line\n")
    kept = output.count("x")
    assert f"[... {3_000_000 - kept} bytes cut ...]" in output


def test_output_that_is_no_text_becomes_storable_text(behave: Behave) -> None:
    outcome = behave(action="odd_bytes+fail", post_check="fail")
    assert outcome.output.startswith("??" * 1000 + "Grüße\n")
    for text in (outcome.output, outcome.message, *[result.message for result in outcome.phases]):
        assert "\0" not in text
        text.encode()


def test_a_child_that_reports_without_end_is_bounded(behave: Behave) -> None:
    outcome = behave(action="babble")
    assert outcome.status == "succeeded"
    assert sum(len(str(value)) for value in outcome.remembered.values()) <= 50 * 2000


def test_nothing_is_inherited_and_credentials_stay_off_arguments_and_environment(
    behave: Behave, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "inherited-secret")
    output = behave(action="surroundings", target={"password": "hunter2-hunter2"}).output
    lines = dict(line.split(" ", 1) for line in output.splitlines())
    assert lines["environment"] == "['HOME', 'LANG', 'PATH', 'TRIAGE_RUN', 'TZ']"
    assert "hunter2" not in output
    assert lines["input"] == "b''"
    assert lines["session"] == "True core (0, 0)"


def test_credentials_are_taken_out_of_what_is_kept(behave: Behave) -> None:
    outcome = behave(action="secret", post_check="secret", target={"api_password": "hunter2-hunter2"})
    assert "the password is ****\n" in outcome.output
    assert "could not sign in with ****" in outcome.message
    assert "hunter2" not in repr(outcome)


@pytest.mark.parametrize("behaviour", ["hang", "family+hang"])
def test_kill_9_of_the_worker_ends_the_child_and_its_family(
    worker: list[str], journal_path: Path, behaviour: str
) -> None:
    run_id = str(uuid.uuid4())
    with subprocess.Popen([*worker, str(journal_path), run_id, behaviour], stdout=subprocess.PIPE) as started:
        assert started.stdout is not None
        assert [started.stdout.readline() for _ in range(2)] == [b"pre_check\n", b"action\n"]
        # Guardian, steps, and with a family three more.
        wait_until(lambda: len(process.marked(run_id)) == (5 if "family" in behaviour else 2))
        started.kill()
    wait_until(lambda: not process.marked(run_id), seconds=8)


def test_a_polite_stop_of_the_worker_ends_the_child_too(worker: list[str], journal_path: Path) -> None:
    run_id = str(uuid.uuid4())
    with subprocess.Popen([*worker, str(journal_path), run_id, "family+hang"], stdout=subprocess.PIPE) as started:
        wait_until(lambda: len(process.marked(run_id)) == 5)
        started.terminate()
    wait_until(lambda: not process.marked(run_id), seconds=8)


def test_kill_9_of_the_guardian_leaves_an_unknown_and_no_orphan(behave: Behave) -> None:
    me = psutil.Process()

    def kill_guardian(phase: str) -> None:
        if phase == "post_check":
            (guardian,) = [child for child in me.children() if "child.py" in " ".join(child.cmdline())]
            guardian.kill()

    outcome = behave(action="family", post_check="hang", options={"watch": Watch(on_phase=kill_guardian)})
    assert outcome.status == "unknown"
    assert "guards the run" in outcome.message


def test_kill_9_of_worker_and_guardian_at_once_still_ends_the_steps(worker: list[str], journal_path: Path) -> None:
    run_id = str(uuid.uuid4())
    with subprocess.Popen([*worker, str(journal_path), run_id, "hang"], stdout=subprocess.PIPE) as started:
        assert started.stdout is not None
        assert [started.stdout.readline() for _ in range(2)] == [b"pre_check\n", b"action\n"]
        (guardian,) = psutil.Process(started.pid).children()
        # Stopped first, so that it cannot do the guardian's work in the moment between the two deaths.
        started.send_signal(signal.SIGSTOP)
        guardian.kill()
        started.kill()
    wait_until(lambda: not process.marked(run_id), seconds=8)


def test_leftovers_of_a_lost_run_are_found_by_their_mark(behave: Behave) -> None:
    run_id = str(uuid.uuid4())
    left = subprocess.Popen(["sleep", "300"], env={process.MARK: run_id}, start_new_session=True)
    other = subprocess.Popen(["sleep", "300"], env={process.MARK: f"{run_id}0"})
    try:
        wait_until(lambda: process.marked(run_id) == [left.pid])
        assert process.end_marked(run_id[:-1]) == 0
        assert left.poll() is None
        wait_until(lambda: process.end_marked(run_id) or left.poll() is not None)
        assert left.wait() == -signal.SIGKILL
        assert other.poll() is None
    finally:
        other.kill()
        other.wait()


def test_a_child_whose_parent_is_gone_before_it_could_notice_ends_at_once() -> None:
    control, report, life = os.pipe(), os.pipe(), os.pipe()
    ends = (control[0], report[1], life[0])
    argv = [sys.executable, "-I", str(python.CHILD), "4194303", *map(str, ends), "8"]
    started = subprocess.Popen(argv, pass_fds=ends)
    try:
        assert started.wait(timeout=20) == 1
    finally:
        for descriptor in (*control, *report, *life):
            os.close(descriptor)


def test_steps_that_changed_on_disk_after_they_were_decided_on_are_not_run(
    tmp_path: Path, misbehaving: Runbook, journal_path: Path
) -> None:
    source = (misbehaving.folder / "steps.py").read_text(encoding="utf-8")
    folder = tmp_path / "freshly_changed"
    folder.mkdir()
    (folder / "steps.py").write_text(source, encoding="utf-8")
    runbook = misbehaving.model_copy(update={"folder": folder})
    run: dict[str, Any] = {"parameters": {"action": "write"}, "target": {"path": str(journal_path)}}
    assert python.execute(runbook, run_id="one", **run).status == "succeeded"
    (folder / "steps.py").write_text(source.replace("raise", "return"), encoding="utf-8")
    outcome = python.execute(runbook, run_id="two", **run)
    assert (outcome.status, outcome.changed_nothing) == ("failed", True)
    assert "restart the workers" in outcome.message


@pytest.mark.parametrize(
    ("target", "sentence"),
    [
        ({}, "lack 'path'"),
        ({"path": "somewhere/relative"}, "must be absolute"),
        ({"path": "/nowhere/journal.sqlite"}, "create the target first"),
    ],
)
def test_a_target_that_cannot_be_opened_fails_with_a_sentence(
    misbehaving: Runbook, target: dict[str, str], sentence: str
) -> None:
    outcome = python.execute(misbehaving, parameters={}, target=target, run_id="x")
    assert (outcome.status, outcome.phase, outcome.changed_nothing) == ("failed", "start", True)
    assert sentence in outcome.message


def test_parameters_are_checked_again_before_anything_starts(misbehaving: Runbook, journal_path: Path) -> None:
    target = {"path": str(journal_path)}
    outcome = python.execute(misbehaving, parameters={"colour": "red"}, target=target, run_id="x")
    assert (outcome.status, outcome.phase) == ("failed", "start")
    assert "colour: odd has no such parameter" in outcome.message
    with pytest.raises(ValueError, match="run_id"):
        python.execute(misbehaving, parameters={}, target=target, run_id="../x")


def test_no_descriptor_and_no_zombie_is_left_by_many_runs(behave: Behave) -> None:
    behave()
    before = len(list(Path("/proc/self/fd").iterdir()))
    for how in ("write", "killed", "family"):
        behave(action=how)
    assert len(list(Path("/proc/self/fd").iterdir())) == before
    assert not [child for child in psutil.Process().children() if "child.py" in " ".join(child.cmdline())]


def test_a_run_costs_little(behave: Behave) -> None:
    def processor_seconds() -> float:
        before = os.times()
        assert behave(pre_check="refuse").status == "refused"
        after = os.times()
        return (after.children_user + after.children_system) - (before.children_user + before.children_system)

    assert min(processor_seconds() for _ in range(4)) < 0.15


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can run steps as another user: run the tests as root")
def test_steps_run_as_another_user_without_a_way_back(
    behave: Behave, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(python, "_run_as", "nobody")
    outcome = behave(action="who")
    assert "uid 65534 65534 65534, groups [65534], root again: PermissionError" in outcome.output, outcome
    monkeypatch.setattr(python, "_run_as", "root")
    assert "the user 'root' is root" in behave(action="who").message
    monkeypatch.setattr(python, "_run_as", "no-such-user")
    refused = behave(action="write")
    assert (refused.status, refused.changed_nothing) == ("failed", True)
    assert "no user 'no-such-user'" in refused.message
    assert "TRIAGE_RUN_AS" in refused.message
