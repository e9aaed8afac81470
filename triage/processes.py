"""Child processes that never outlive their parent, and the end of left-overs of a parent that was killed."""

import ctypes
import json
import os
import signal
import subprocess
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path

import psutil

PR_SET_PDEATHSIG = 1  # prctl(2), linux/prctl.h
_LIBC = ctypes.CDLL(None, use_errno=True)


def die_with_parent(parent: int | None = None) -> None:
    """Ask the kernel to kill this process when its parent dies; ends at once where the parent is gone already.

    `parent` is the process id that must still be the parent: between fork and this call it may have died.
    """
    wanted = os.getppid() if parent is None else parent
    _LIBC.prctl(PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
    if os.getppid() != wanted:
        os._exit(1)


def start(argv: Sequence[str], *, env: Mapping[str, str], log: Path) -> subprocess.Popen[bytes]:
    """Start a child in a process group of its own, its output appended to `log`, that dies with this process."""
    parent = os.getpid()
    rotate(log)
    with log.open("ab") as out:
        return subprocess.Popen(
            list(argv),
            env=dict(env),
            stdin=subprocess.DEVNULL,
            stdout=out,
            stderr=subprocess.STDOUT,
            start_new_session=True,
            preexec_fn=lambda: die_with_parent(parent),  # noqa: PLW1509 - started from the main thread only
        )


def rotate(log: Path, *, limit: int = 20 * 1024 * 1024) -> None:
    """Keep one older log when this one has grown past `limit` bytes."""
    log.parent.mkdir(parents=True, exist_ok=True)
    if log.exists() and log.stat().st_size > limit:
        log.replace(log.with_suffix(".old.log"))


def tail(log: Path, *, size: int = 2000) -> str:
    """The last `size` bytes of a log, for an error message."""
    if not log.exists():
        return "(no log)"
    return log.read_bytes()[-size:].decode("utf-8", "replace").strip()


def stop(child: subprocess.Popen[bytes], *, how: int = signal.SIGTERM, grace: float = 10.0) -> None:
    """Ask the child to end; after `grace` seconds end its whole group."""
    if child.poll() is None:
        with suppress(ProcessLookupError):
            child.send_signal(how)
        with suppress(subprocess.TimeoutExpired):
            child.wait(grace)
    kill_group(child)
    child.wait()


def kill_group(child: subprocess.Popen[bytes]) -> None:
    """End every process of the child's group; fine where none is left."""
    with suppress(ProcessLookupError, PermissionError):
        os.killpg(child.pid, signal.SIGKILL)


def remember(file: Path, child: subprocess.Popen[bytes]) -> None:
    """Write the child's pid and birth time, so that a later start can tell it from a stranger with its number."""
    with suppress(psutil.NoSuchProcess):
        born = psutil.Process(child.pid).create_time()
        file.write_text(json.dumps({"pid": child.pid, "born": born}), encoding="ascii")


def end_left_over(file: Path, *, grace: float = 10.0) -> bool:
    """End the process that `file` remembers if it still lives and is the same one; True where one was ended."""
    try:
        known = json.loads(file.read_text(encoding="ascii"))
        process = psutil.Process(known["pid"])
        if abs(process.create_time() - known["born"]) > 1:
            return False
        process.terminate()
        try:
            process.wait(grace)
        except psutil.TimeoutExpired:
            process.kill()
            process.wait(grace)
    except (OSError, ValueError, KeyError, psutil.NoSuchProcess):
        return False
    finally:
        file.unlink(missing_ok=True)
    return True
