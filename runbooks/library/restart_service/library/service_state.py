"""Says whether a service's main process lives, and since when; changes nothing.

`pid` is a command that prints the process's number. With `wait` (seconds) it is looked at until the same process has
stayed for two seconds, or the time is over.
"""

import time
from pathlib import Path
from typing import Any

from ansible.module_utils.basic import AnsibleModule

STAYS = 2.0


def started(pid: int) -> int:
    """Return when the process started, in ticks since the host did; 0 where there is none, or a dead one."""
    try:
        text = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return 0
    # The command stands in parentheses and may hold any character, parentheses too.
    fields = text.rpartition(")")[2].split()
    return 0 if fields[0] in "ZX" else int(fields[19])


def look(module: Any) -> dict[str, Any]:
    """Ask for the number once."""
    _, out, _ = module.run_command(module.params["pid"])
    word = (out.split() or [""])[0]
    pid = int(word) if word.isascii() and word.isdigit() and len(word) < 10 else 0
    since = started(pid) if pid else 0
    return {"running": since > 0, "pid": pid if since else 0, "started": since}


def main() -> None:
    """Answer Ansible."""
    spec = {"pid": {"type": "list", "elements": "str", "required": True}, "wait": {"type": "float", "default": 0}}
    module = AnsibleModule(argument_spec=spec, supports_check_mode=True)
    state, since = look(module), time.monotonic()
    give_up = since + module.params["wait"]
    while time.monotonic() < give_up and not (state["running"] and time.monotonic() - since >= STAYS):
        time.sleep(0.5)
        now = look(module)
        if now != state:
            state, since = now, time.monotonic()
    if module.params["wait"] and time.monotonic() - since < STAYS:
        state = {"running": False, "pid": 0, "started": 0}
    module.exit_json(changed=False, state=state)


if __name__ == "__main__":
    main()
