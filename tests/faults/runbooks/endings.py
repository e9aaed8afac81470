"""Runs that never end by themselves: whole families of processes that ignore every signal and print without end."""

import threading
import time
import uuid
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from runbooks import definition, process
from runbooks.outcome import OUTPUT_LIMIT, Outcome
from runbooks.runners import python
from runbooks.watch import Watch
from tests.faults.runbooks import books

LIMIT = 2.0
GRACE = 10.0
AT_ONCE = 4
SHARE = 40  # fifty of the full two thousand
STEPS = '''
"""A family that does not want to end."""

import os
import signal
import subprocess
import sys
import time

CHILD = """
import os, signal, sys, time
for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
    signal.signal(number, signal.SIG_IGN)
if os.fork() == 0:
    os.setsid()
    if os.fork():
        os._exit(0)
while True:
    sys.stdout.write("x" * 65536)
    sys.stdout.flush()
    time.sleep(0.01)
"""


def pre_check(context):
    """Always yes."""


def action(context):
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    for _ in range(3):
        subprocess.Popen([sys.executable, "-I", "-c", CHILD], start_new_session=True)
    while True:
        time.sleep(1)


def post_check(context):
    """Never reached."""


def undo(context):
    """Never reached."""


def undo_check(context):
    """Never reached."""
'''


def run(folder: Path, *, runs: int, seed: int, say: Any) -> dict[str, Any]:
    """Half reach their time limit, half are ended by a person: the slowest, what outlived it, the largest output."""
    del seed
    count = max(6, runs // SHARE)
    home = books.write(folder) / books.KEY
    (home / "steps.py").write_text(STEPS, encoding="utf-8")
    book = definition.read(home)
    ledger = books.ledger(folder)
    with ThreadPoolExecutor(AT_ONCE) as pool:
        ended = list(pool.map(lambda number: _one(book, ledger, stopped=number % 2 == 1), range(count)))
    time.sleep(1.0)  # what survived has had time to be seen
    left = sum(len(process.marked(run_id)) for _, _, run_id in ended)
    say(f"{count} families ended")
    over = [seconds for _, seconds, _ in ended]
    return {
        "endings": count,
        "ended_in_time": sum(seconds <= GRACE for seconds in over),
        "slowest_seconds_over_limit": round(max(over), 2),
        "orphans": left,
        "unknown": sum(outcome.status == "unknown" for outcome, _, _ in ended),
        "largest_output": max(len(outcome.output.encode()) for outcome, _, _ in ended),
        "output_limit": OUTPUT_LIMIT,
    }


def _one(book: Any, ledger: Path, *, stopped: bool) -> tuple[Outcome, float, str]:
    """How it ended, seconds after the limit or the person's word, and the run's id."""
    run_id, acting = str(uuid.uuid4()), threading.Event()
    asked: list[float] = []

    def stop() -> str:
        if not stopped or not acting.wait(0):
            return ""
        asked.append(time.monotonic())
        return "it was ended by a person"

    def phase(name: str) -> None:
        if name == "action":
            acting.set()

    began = time.monotonic()
    outcome = python.execute(
        book, parameters={"line": "x"}, target={"path": str(ledger)}, run_id=run_id,
        watch=Watch(on_phase=phase, stop=stop), time_limit=30.0 if stopped else LIMIT,
    )  # fmt: skip
    since = asked[0] if asked else began + LIMIT
    return outcome, time.monotonic() - since, run_id
