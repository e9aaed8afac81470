"""An approver reads a request, tries it, approves it and watches the run to its end, by keyboard alone."""

import sqlite3
import threading
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from django.db import connection
from django.utils import timezone

from runbooks.targets.directory import SqliteDirectory
from tests.browser.conftest import sign_in
from tests.web.scene import Scene
from triage import execution
from triage.models import Run

TICK = 2_500  # milliseconds of the page's own clock: the page asks every two seconds


def _worker(run: Run) -> threading.Thread:
    """A worker as Celery has one: it executes the run on the real directory."""

    def work() -> None:
        execution.execute(run.pk, at=timezone.now())
        connection.close()

    return threading.Thread(target=work)


@pytest.mark.usefixtures("lake")
def test_a_run_is_approved_and_watched_to_its_end(desk: Any, scene: Scene, tmp_path: Path) -> None:
    path = tmp_path / "directory.sqlite3"
    desk.clock.install()
    sign_in(desk, "carl")
    desk.keyboard.press("g")
    desk.keyboard.press("a")
    desk.wait_for_selector("h1:has-text('Approvals')")
    desk.keyboard.press("j")
    desk.keyboard.press("Enter")
    desk.wait_for_selector("h1:has-text('Unlock an account')")
    assert "grace.hopper" in desk.locator(".pairs.big").inner_text()
    desk.keyboard.press("y")
    desk.wait_for_selector(".message")
    run = Run.objects.get(ticket=scene.waiting)
    assert (run.ordered_by, run.parameters) == (scene.approver, {"account": "grace.hopper"})
    desk.goto(f"/runs/{run.uuid}/")
    desk.wait_for_selector(".pill.requested")

    worker = _worker(run)
    with closing(sqlite3.connect(path, isolation_level=None)) as busy:
        busy.execute("BEGIN EXCLUSIVE")  # somebody else writes in the directory: the run has to wait for it
        worker.start()
        _until(lambda: Run.objects.get(pk=run.pk).status == Run.Status.STARTING)
        desk.clock.fast_forward(TICK)
        desk.wait_for_selector("#live-title")
        desk.wait_for_selector("text=End this run")
        busy.execute("ROLLBACK")
    worker.join()
    desk.clock.fast_forward(TICK)
    desk.wait_for_selector(".pill.succeeded")
    assert desk.locator(".phases .ok").count() == 3
    with closing(SqliteDirectory(path)) as directory:
        account = directory.account("grace.hopper")
        assert account is not None
        assert not account.locked


def _until(there: Any) -> None:
    for _ in range(200):
        if there():
            return
        threading.Event().wait(0.05)
    raise AssertionError("the run never started")
