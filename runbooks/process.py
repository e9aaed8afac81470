"""What a run's processes need of Linux: dying with the parent, bounds, and ending every descendant.

Standard library, and psutil only where a process tree must be walked: loaded in the child of every run.
"""

import contextlib
import ctypes
import os
import pwd
import resource
import signal
import time
from pathlib import Path

_PR_SET_PDEATHSIG = 1
_PR_SET_CHILD_SUBREAPER = 36
_PR_SET_NO_NEW_PRIVS = 38

MARK = "TRIAGE_RUN"
"""The environment variable that every descendant of a run carries, with the run's id."""


def _prctl(option: int, value: int) -> None:
    prctl = ctypes.CDLL(None, use_errno=True).prctl
    prctl.argtypes = [ctypes.c_int, *[ctypes.c_ulong] * 4]
    if prctl(option, value, 0, 0, 0) != 0:
        number = ctypes.get_errno()
        raise OSError(number, f"prctl {option}: {os.strerror(number)}")


def die_with_parent(signal_number: int, parent: int) -> None:
    """Ask the kernel to send this signal when `parent` ends; end at once when it has ended already."""
    _prctl(_PR_SET_PDEATHSIG, signal_number)
    # The parent may have died between our birth and the call above; then no signal would ever come.
    if os.getppid() != parent:
        os._exit(1)


def adopt_orphans() -> None:
    """Become the parent of every descendant whose own parent ends, so that none can hide."""
    _prctl(_PR_SET_CHILD_SUBREAPER, 1)


def become(user: str) -> None:
    """Run as another user from here on, with that user's groups and no way back; only root can.

    What must die with its parent has to say so again: the kernel forgets it here.
    """
    entry = pwd.getpwnam(user)
    os.initgroups(entry.pw_name, entry.pw_gid)
    os.setresgid(entry.pw_gid, entry.pw_gid, entry.pw_gid)
    os.setresuid(entry.pw_uid, entry.pw_uid, entry.pw_uid)


def trouble_with_user(user: str) -> str:
    """Why this process cannot run steps as that user, as a sentence without its end; empty where it can."""
    if not user:
        return ""
    try:
        entry = pwd.getpwnam(user)
    except KeyError:
        return f"there is no user {user!r} on this machine"
    if entry.pw_uid == 0:
        return f"the user {user!r} is root, whom steps must not run as"
    if os.geteuid() not in (0, entry.pw_uid):
        return f"only root can run steps as {user!r}, and this process is not root"
    return ""


def bound(*, cpu_seconds: int, memory_mb: int, file_mb: int) -> None:
    """Limit this process and what it starts; no set-uid program gives them more rights.

    The number of processes is watched from outside: RLIMIT_NPROC counts all processes of the user.
    """
    _prctl(_PR_SET_NO_NEW_PRIVS, 1)
    wanted = {
        resource.RLIMIT_CORE: (0, 0),
        resource.RLIMIT_CPU: (cpu_seconds, cpu_seconds + 1),
        resource.RLIMIT_AS: (memory_mb << 20, memory_mb << 20),
        resource.RLIMIT_FSIZE: (file_mb << 20, file_mb << 20),
        resource.RLIMIT_NOFILE: (256, 256),
    }
    for name, (soft, hard) in wanted.items():
        allowed = resource.getrlimit(name)[1]
        if allowed == resource.RLIM_INFINITY:
            resource.setrlimit(name, (soft, hard))
        else:
            resource.setrlimit(name, (min(soft, allowed), min(hard, allowed)))


def descendants(pid: int) -> list[int]:
    """Return the pids of all living descendants."""
    import psutil  # 15 ms: only runs that start processes, or take long, pay for it

    try:
        return [child.pid for child in psutil.Process(pid).children(recursive=True)]
    except psutil.NoSuchProcess:
        return []


def end(pids: list[int]) -> None:
    """Stop them all first, so that none can start another meanwhile, then kill them."""
    for number in (signal.SIGSTOP, signal.SIGKILL):
        for pid in pids:
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.kill(pid, number)


def reap() -> dict[int, int] | None:
    """Collect ended children without waiting: pid -> wait status; None when there are no children at all."""
    ended: dict[int, int] = {}
    while True:
        try:
            pid, status = os.waitpid(-1, os.WNOHANG)
        except ChildProcessError:
            return ended or None
        if pid == 0:
            return ended
        ended[pid] = status


def end_descendants(*, seconds: float) -> int:
    """End every descendant of this (orphan-adopting) process; return how many there were.

    Gives up after `seconds`: a process in an uninterruptible system call ends when that returns.
    """
    seen: set[int] = set()
    give_up = time.monotonic() + seconds
    while time.monotonic() < give_up:
        reap()
        living = descendants(os.getpid())
        if not living:
            break
        seen.update(living)
        end(living)
        time.sleep(0.005)
    return len(seen)


def marked(run_id: str) -> list[int]:
    """Return the pids of all processes that carry this run's mark, wherever they hang in the tree."""
    mark = f"{MARK}={run_id}".encode()
    found = []
    for folder in Path("/proc").iterdir():
        if not folder.name.isdigit() or int(folder.name) == os.getpid():
            continue
        with contextlib.suppress(OSError):
            if mark in (folder / "environ").read_bytes().split(b"\0"):
                found.append(int(folder.name))
    return found


def end_marked(run_id: str) -> int:
    """Kill every process that still carries this run's mark; return how many there were.

    For a run that is known to be over or lost: after kill -9 of worker and guardian at the same moment.
    """
    seen: set[int] = set()
    for _ in range(50):
        living = marked(run_id)
        if not living:
            break
        seen.update(living)
        end(living)
        time.sleep(0.01)
    return len(seen)
