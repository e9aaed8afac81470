"""The supervisor restarts what dies or hangs, and nothing outlives it."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil

from triage.supervisor import Child, Supervisor

SLEEP = [sys.executable, "-c", "import time; time.sleep(600)"]


def pid(child: Child) -> int:
    assert child.process is not None
    return child.process.pid


def tick_until_restarted(supervisor: Supervisor, child: Child, *, before: int) -> None:
    until = time.monotonic() + 10
    while time.monotonic() < until and (child.process is None or child.process.pid == before):
        supervisor.tick()
        time.sleep(0.05)
    assert child.process is not None
    assert child.process.pid != before


def test_a_killed_child_is_started_again_ever_more_slowly(tmp_path: Path) -> None:
    child = Child("one", SLEEP, dict(os.environ))
    supervisor = Supervisor([child], logs=tmp_path)
    supervisor.start()
    pauses = []
    for _ in range(3):
        before = pid(child)
        os.kill(before, signal.SIGKILL)
        tick_until_restarted(supervisor, child, before=before)
        pauses.append(child.pause)
    supervisor.stop()
    assert pauses == sorted(set(pauses))
    assert child.starts == 4


def test_a_child_that_hangs_is_ended_and_started_again(tmp_path: Path) -> None:
    child = Child("hangs", SLEEP, dict(os.environ))
    supervisor = Supervisor([child], logs=tmp_path, stale=lambda: {"hangs"})
    supervisor.start()
    before = pid(child)
    supervisor.tick()
    assert psutil.pid_exists(before), "a young child has not had the time to prove itself"
    child.started -= 61
    supervisor._next_look = 0
    tick_until_restarted(supervisor, child, before=before)
    supervisor.stop()


def test_stopping_ends_a_child_that_ignores_the_request_and_its_children(tmp_path: Path) -> None:
    stubborn = (
        "import signal, subprocess, sys, time; signal.signal(signal.SIGTERM, signal.SIG_IGN);"
        "subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(600)']); time.sleep(600)"
    )
    child = Child("stubborn", [sys.executable, "-c", stubborn], dict(os.environ), grace=0.5)
    supervisor = Supervisor([child], logs=tmp_path)
    supervisor.start()
    until = time.monotonic() + 10
    family: list[psutil.Process] = []
    while len(family) < 1 and time.monotonic() < until:
        family = psutil.Process(pid(child)).children(recursive=True)
        time.sleep(0.05)
    family.append(psutil.Process(pid(child)))
    time.sleep(0.3)
    supervisor.stop()
    _, alive = psutil.wait_procs(family, timeout=5)
    assert alive == []


def test_the_children_die_with_a_supervisor_that_was_killed(tmp_path: Path) -> None:
    program = (
        "import os, pathlib, sys; from triage.supervisor import Child, Supervisor\n"
        "argv = [sys.executable, '-c', 'import time; time.sleep(600)']\n"
        "s = Supervisor([Child('a', argv, dict(os.environ))], logs=pathlib.Path(sys.argv[1])); s.start()\n"
        "print(s.children[0].process.pid, flush=True); s.run()"
    )
    starter = subprocess.Popen([sys.executable, "-c", program, str(tmp_path)], stdout=subprocess.PIPE)
    assert starter.stdout is not None
    child = psutil.Process(int(starter.stdout.readline()))
    starter.kill()
    starter.wait()
    starter.stdout.close()
    _, alive = psutil.wait_procs([child], timeout=5)
    assert alive == []
