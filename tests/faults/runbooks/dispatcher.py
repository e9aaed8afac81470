"""A dispatcher: takes messages from its input, and carries each out in a forked child that may die on the way.

As a pool of Celery's does, with the start of Python paid once. `python -m tests.faults.runbooks.dispatcher CHILDREN`.
A message is one line of JSON: {"run": primary key, "crash": point or null, "ahead": seconds, where not at once}, or
{"sweep": seconds ahead, "crash": ...}.
Each is answered by one line, the message with `killed`; {"wait": true} is answered when all before it have ended.
"""

import json
import os
import signal
import sys
from datetime import timedelta
from typing import Any


def _carry_out(message: dict[str, Any]) -> None:
    from django.utils import timezone

    from tests.faults.runbooks import points
    from triage import execution, recovery

    if message["crash"]:
        points.arm(message["crash"])
    if "sweep" in message:
        recovery.sweep(at=timezone.now() + timedelta(seconds=message["sweep"]))
    else:
        execution.execute(message["run"], at=timezone.now() + timedelta(seconds=message.get("ahead", 0)))


def _child(message: dict[str, Any]) -> int:
    pid = os.fork()
    if pid:
        return pid
    status = 1
    try:
        _carry_out(message)
        status = 0
    finally:
        if status:
            sys.excepthook(*sys.exc_info())
        os._exit(status)


def main(children: int) -> None:
    """Until the input ends."""
    from triage import installation

    installation.start_django()
    from django.db import connections

    from runbooks.runners import exchange, remote
    from tests.faults.runbooks import points, towers

    assert points.POINTS
    # What is lost here is found at once or never: the same pauses as in earnest, only shorter.
    exchange.READ_SECONDS = towers.READ_SECONDS
    remote.FIND_SECONDS, remote.LAUNCH_SECONDS = (0.05, 0.1, 0.2, 0.2), (0.05, 0.1, 0.2, 0.4)
    remote.POLL_SECONDS = (0.1, 0.2)
    connections.close_all()  # a child must not share a connection with this process
    living: dict[int, dict[str, Any]] = {}

    def wait() -> None:
        pid, status = os.wait()
        message = living.pop(pid)
        killed = os.WIFSIGNALED(status) and os.WTERMSIG(status) == signal.SIGKILL
        failed = not killed and status != 0
        print(json.dumps({**message, "killed": killed, "failed": failed}), flush=True)

    for line in sys.stdin:
        if len(living) >= children:
            wait()
        message = json.loads(line)
        if "wait" in message:
            while living:
                wait()
            print(line.strip(), flush=True)
            continue
        living[_child(message)] = message
    while living:
        wait()


if __name__ == "__main__":
    main(int(sys.argv[1]))
