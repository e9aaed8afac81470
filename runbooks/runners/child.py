"""The process that a run lives in. Started as a script by `runners/python.py`, never imported.

Two processes: the guardian, which adopts every orphan below it, and its child, which runs the steps.
The guardian ends the whole tree when the steps end, when the worker gives up or dies (the life pipe
closes), when there are too many processes, or on SIGTERM. So nothing outlives a run, not even what
called setsid and let its own parent die.
"""

import contextlib
import io
import json
import os
import select
import signal
import sys
import time
from pathlib import Path
from types import FrameType

sys.path.append(str(Path(__file__).resolve().parents[2]))

from runbooks import phases, process, scratch

CHECK_SECONDS = 0.25
END_SECONDS = 4.0
LAST_SECONDS = 0.5


def _read_line(descriptor: int) -> bytes:
    """Read up to a newline or the end, byte by byte at the start of a run only."""
    line = b""
    while not line.endswith(b"\n"):
        piece = os.read(descriptor, 65536)
        if not piece:
            break
        line += piece
    return line


def _steps(control: int, report: int, guardian: int) -> None:
    """The child: bounded, dies with the guardian, runs the phases."""
    signal.set_wakeup_fd(-1)
    for number in (signal.SIGCHLD, signal.SIGTERM):
        signal.signal(number, signal.SIG_DFL)
    if isinstance(sys.stdout, io.TextIOWrapper):
        # What was said before a sudden death is worth the most.
        sys.stdout.reconfigure(line_buffering=True)
    process.die_with_parent(signal.SIGKILL, guardian)
    request = json.loads(_read_line(control))
    process.bound(**request["bounds"])
    phases.run(request, pipe=report, may_start=lambda: _read_line(control) == b"go\n")


def _fork_steps(control: int, report: int, life: int) -> int:
    guardian = os.getpid()
    pid = os.fork()
    if pid:
        return pid
    status = 1
    try:
        os.close(life)
        _steps(control, report, guardian)
        status = 0
    except BaseException:  # noqa: BLE001 - the forked copy must never return into the guardian's code
        sys.excepthook(*sys.exc_info())
    finally:
        # Threads that the steps left behind must not keep the run alive.
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(status)


def _watch(steps: int, life: int, woken: int, most: int) -> tuple[int | None, str]:
    """Wait for the end of the steps; return their wait status, or None and why they must be ended."""
    poll = select.poll()
    poll.register(life, select.POLLIN)
    poll.register(woken, select.POLLIN)
    count_at = time.monotonic() + CHECK_SECONDS
    while True:
        events = dict(poll.poll(CHECK_SECONDS * 1000))
        if life in events:
            return None, "given up"
        if woken in events and signal.SIGTERM in os.read(woken, 4096):
            return None, "asked to end"
        ended = process.reap() or {}
        if steps in ended:
            return ended[steps], ""
        if time.monotonic() >= count_at:
            # By the clock and not when all is quiet: a flood of processes is never quiet.
            if len(process.descendants(os.getpid())) > most:
                return None, f"more than {most} processes"
            count_at = time.monotonic() + CHECK_SECONDS


def _noted(_number: int, _frame: FrameType | None) -> None:
    """Do nothing: the wake-up pipe has the signal's number."""


def _all_gone() -> bool:
    """Whether nothing of the run is left, or what is ends by itself: a helper ends a moment after what it helped."""
    give_up = time.monotonic() + LAST_SECONDS
    while process.reap() is not None:
        if time.monotonic() >= give_up:
            return False
        time.sleep(0.01)
    return True


def main(parent: int, control: int, report: int, life: int, most: int, *, folder: str) -> None:
    """Guard one run until all of it has ended, and report how. folder: the run's own, removed at the end."""
    signal.pthread_sigmask(signal.SIG_SETMASK, [])
    woken, wake = os.pipe()
    os.set_blocking(wake, False)
    signal.set_wakeup_fd(wake, warn_on_full_buffer=False)
    for number in (signal.SIGCHLD, signal.SIGTERM):
        signal.signal(number, _noted)
    process.adopt_orphans()
    process.die_with_parent(signal.SIGTERM, parent)
    for descriptor in (control, report, life):
        os.set_inheritable(descriptor, False)
    steps = _fork_steps(control, report, life)
    os.close(control)
    status, why = _watch(steps, life, woken, most)
    left = 0 if status is not None and _all_gone() else process.end_descendants(seconds=END_SECONDS)
    if folder:
        scratch.finish(Path(folder), broken=status != 0)
    line = {"type": "exit", "status": status, "why": why, "left": left}
    with contextlib.suppress(BrokenPipeError):
        os.write(report, json.dumps(line).encode() + b"\n")


if __name__ == "__main__":
    _numbers = [int(argument) for argument in sys.argv[1:6]]
    main(*_numbers, folder=sys.argv[6] if len(sys.argv) > 6 else "")
