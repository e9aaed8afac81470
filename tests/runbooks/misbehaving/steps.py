"""Steps that do what their parameters say, most of it wrong: for tests of the runner."""

import os
import resource
import signal
import subprocess
import sys
import time
from pathlib import Path

from runbooks.context import Context, NotDone, Refused
from runbooks.targets.journal import Journal


def pre_check(context: Context[Journal]) -> None:
    behave("pre_check", context)


def action(context: Context[Journal]) -> None:
    behave("action", context)


def post_check(context: Context[Journal]) -> None:
    behave("post_check", context)


def undo(context: Context[Journal]) -> None:
    behave("undo", context)


def undo_check(context: Context[Journal]) -> None:
    behave("undo_check", context)


def behave(phase: str, context: Context[Journal]) -> None:
    for what in context.text(phase).split("+") if phase in context.parameters else []:
        BEHAVIOURS[what](phase, context)


def refuse(phase: str, context: Context[Journal]) -> None:
    raise Refused(f"refused in {phase}")


def not_done(phase: str, context: Context[Journal]) -> None:
    raise NotDone(f"not done in {phase}")


def fail(phase: str, context: Context[Journal]) -> None:
    raise RuntimeError(f"broken in {phase} \udcff")


def leave(phase: str, context: Context[Journal]) -> None:
    sys.exit(0)


def write(phase: str, context: Context[Journal]) -> None:
    context.target.append(context.run_id, phase, "")


def killed(phase: str, context: Context[Journal]) -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def vanish(phase: str, context: Context[Journal]) -> None:
    os._exit(0)


def hang(phase: str, context: Context[Journal]) -> None:
    time.sleep(300)


def family(phase: str, context: Context[Journal]) -> None:
    """A child, a child in a session of its own, and a daemon whose parent is gone; all ignore polite signals."""
    stubborn = [sys.executable, "-c", "import signal, time; signal.signal(15, signal.SIG_IGN); time.sleep(300)"]
    subprocess.Popen(stubborn)
    subprocess.Popen(stubborn, start_new_session=True)
    if os.fork() == 0:
        os.setsid()
        if os.fork() == 0:
            os.execv(sys.executable, stubborn)  # noqa: S606 - a fixed command
        os._exit(0)
    time.sleep(0.2)


def flood(phase: str, context: Context[Journal]) -> None:
    sys.stdout.write("first line\n" + "x" * 3_000_000 + "\nlast line\n")
    sys.stdout.flush()


def odd_bytes(phase: str, context: Context[Journal]) -> None:
    sys.stdout.buffer.write(b"\xff\x00" * 1000 + "Grüße\n".encode())


def surroundings(phase: str, context: Context[Journal]) -> None:
    print("environment", sorted(os.environ))
    print("arguments", Path("/proc/self/cmdline").read_bytes())
    print("input", os.read(0, 10))
    print("session", os.getsid(0) == os.getppid(), "core", resource.getrlimit(resource.RLIMIT_CORE))
    print("open", sorted(entry.name for entry in Path("/proc/self/fd").iterdir()))


def crowd(phase: str, context: Context[Journal]) -> None:
    for _ in range(12):
        subprocess.Popen(["sleep", "300"], start_new_session=True)
    time.sleep(300)


def memory(phase: str, context: Context[Journal]) -> None:
    bytearray(2_000_000_000)


def burn(phase: str, context: Context[Journal]) -> None:
    while True:
        pass


def big_file(phase: str, context: Context[Journal]) -> None:
    path = Path(context.text("folder")) / "big"
    path.write_bytes(b"x" * 5_000_000)


def nap(phase: str, context: Context[Journal]) -> None:
    time.sleep(1.2)


def note(phase: str, context: Context[Journal]) -> None:
    context.remember("before", 42)


def babble(phase: str, context: Context[Journal]) -> None:
    for number in range(10_000):
        context.remember(f"n{number}", "x" * 5_000)


def secret(phase: str, context: Context[Journal]) -> None:
    print("the password is hunter2-hunter2")
    raise NotDone("could not sign in with hunter2-hunter2")


def who(phase: str, context: Context[Journal]) -> None:
    try:
        os.setuid(0)
        again = "allowed"
    except PermissionError:
        again = "PermissionError"
    print(f"uid {' '.join(map(str, os.getresuid()))}, groups {os.getgroups()}, root again: {again}")


BEHAVIOURS = {
    "who": who,
    "refuse": refuse,
    "not_done": not_done,
    "fail": fail,
    "leave": leave,
    "write": write,
    "killed": killed,
    "vanish": vanish,
    "hang": hang,
    "family": family,
    "flood": flood,
    "odd_bytes": odd_bytes,
    "surroundings": surroundings,
    "crowd": crowd,
    "memory": memory,
    "burn": burn,
    "big_file": big_file,
    "nap": nap,
    "note": note,
    "babble": babble,
    "secret": secret,
}
