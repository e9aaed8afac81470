"""Looks at one process for a second; with `end` ends it if it still is the one that was looked at before.

The process is held by a descriptor while it is compared and ended, so that no other that got its number meanwhile can
be hit. It is asked first (SIGTERM), and killed after five seconds.
"""

import os
import pwd
import select
import signal
import time
from pathlib import Path
from typing import Any

from ansible.module_utils.basic import AnsibleModule

ASKED_MS = 5_000
KILLED_MS = 3_000
SECONDS = 1.0
NONE: dict[str, Any] = {"pid": 0, "started": 0, "command": "", "uid": -1, "user": "", "ticks": 0}


def look(pid: int) -> dict[str, Any]:
    """Return who the process is and its processor time in ticks; `started` is 0 where there is none, or a dead one."""
    folder = Path(f"/proc/{pid}")
    try:
        text = (folder / "stat").read_text(encoding="utf-8", errors="replace")
        uid = folder.stat().st_uid
    except OSError:
        return NONE
    # The command stands in parentheses and may hold any character, parentheses too.
    head, _, tail = text.rpartition(")")
    fields = tail.split()
    if fields[0] in "ZX":
        return NONE
    try:
        user = pwd.getpwuid(uid).pw_name
    except KeyError:
        user = str(uid)
    return {
        "pid": pid,
        "started": int(fields[19]),
        "command": head.partition("(")[2],
        "uid": uid,
        "user": user,
        "ticks": int(fields[11]) + int(fields[12]),
    }


def watched(pid: int) -> dict[str, Any]:
    """Return who the process is, with `cpu`: percent of one processor within one second."""
    before, began = look(pid), time.monotonic()
    if not before["started"]:
        return {**NONE, "cpu": 0}
    time.sleep(SECONDS)
    after, passed = look(pid), time.monotonic() - began
    if after["started"] != before["started"]:
        return {**NONE, "cpu": 0}
    used = (after["ticks"] - before["ticks"]) / os.sysconf("SC_CLK_TCK")
    return {**after, "cpu": round(100 * used / passed)}


def end(pid: int, meant: dict[str, Any]) -> str:
    """End the process; return why not, or an empty text."""
    try:
        held = os.pidfd_open(pid)
    except ProcessLookupError:
        return ""
    try:
        now = look(pid)
        if any(str(now[name]) != str(meant[name]) for name in ("started", "command", "uid")):
            return f"process {pid} is no longer the one that was looked at"
        if pid <= 1 or now["uid"] == 0:
            return "a process of root is never ended"
        return "" if ended(held) else f"process {pid} did not end"
    except ProcessLookupError:
        return ""
    except OSError as error:
        return f"process {pid} cannot be ended: {error.strerror}"
    finally:
        os.close(held)


def ended(held: int) -> bool:
    """Ask the held process to end, then kill it; say whether it is gone."""
    gone = select.poll()
    gone.register(held, select.POLLIN)
    for number, patience in ((signal.SIGTERM, ASKED_MS), (signal.SIGKILL, KILLED_MS)):
        signal.pidfd_send_signal(held, number)
        if gone.poll(patience):
            return True
    return False


def main() -> None:
    """Answer Ansible."""
    module = AnsibleModule(
        argument_spec={"pid": {"type": "int", "required": True}, "end": {"type": "dict"}}, supports_check_mode=True
    )
    pid, meant = module.params["pid"], module.params["end"]
    if meant is None:
        module.exit_json(changed=False, process=watched(pid))
    if not hasattr(os, "pidfd_open"):
        module.fail_json(msg="the host's Python is older than 3.9 and cannot hold a process")
    problem = "" if module.check_mode else end(pid, meant)
    if problem:
        module.fail_json(msg=problem)
    module.exit_json(changed=True)


if __name__ == "__main__":
    main()
