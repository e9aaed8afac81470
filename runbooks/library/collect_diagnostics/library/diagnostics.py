"""Reads load, memory, disks and the busiest processes of a Linux host from /proc; changes nothing."""

import os
import platform
import time
from pathlib import Path
from typing import Any

from ansible.module_utils.basic import AnsibleModule

PSEUDO = ("/proc", "/sys", "/dev", "/run")
BUSIEST = 10
SECONDS = 1.0


def memory() -> dict[str, int]:
    """Return total, available and swap use in MiB."""
    lines = (line.split() for line in Path("/proc/meminfo").read_text(encoding="ascii").splitlines())
    kib = {words[0].rstrip(":"): int(words[1]) for words in lines}
    return {
        "total_mb": kib["MemTotal"] >> 10,
        "available_mb": kib.get("MemAvailable", kib["MemFree"]) >> 10,
        "swap_used_mb": (kib["SwapTotal"] - kib["SwapFree"]) >> 10,
    }


def disks() -> list[dict[str, Any]]:
    """Return each mounted file system once, the fullest first; sizes in MiB, shares in percent."""
    found: dict[int, dict[str, Any]] = {}
    for line in Path("/proc/self/mounts").read_text(encoding="utf-8", errors="replace").splitlines():
        mount = line.split()[1]
        if mount != "/" and mount.startswith(PSEUDO):
            continue
        try:
            size, device = os.statvfs(mount), Path(mount).stat().st_dev
        except OSError:
            continue
        if size.f_blocks:
            used = 100 - 100 * size.f_bavail // size.f_blocks
            inodes = 100 - 100 * size.f_favail // size.f_files if size.f_files else 0
            free = size.f_bavail * size.f_frsize >> 20
            found.setdefault(device, {"mount": mount, "used": used, "free_mb": free, "inodes_used": inodes})
    return sorted(found.values(), key=lambda disk: -disk["used"])


def ticks() -> dict[int, tuple[int, str, int]]:
    """Return for each process its processor time in ticks, its command and its resident memory in pages."""
    found = {}
    for folder in Path("/proc").iterdir():
        if folder.name.isdigit():
            try:
                text = (folder / "stat").read_text(encoding="utf-8", errors="replace")
            except OSError:
                continue
            # The command stands in parentheses and may hold any character, parentheses too.
            head, _, tail = text.rpartition(")")
            fields = tail.split()
            found[int(folder.name)] = (int(fields[11]) + int(fields[12]), head.partition("(")[2], int(fields[21]))
    return found


def processes() -> list[dict[str, Any]]:
    """Return the processes that needed the most processor time within one second, in percent of one processor."""
    before, began = ticks(), time.monotonic()
    time.sleep(SECONDS)
    after, passed = ticks(), time.monotonic() - began
    second, page = os.sysconf("SC_CLK_TCK"), os.sysconf("SC_PAGE_SIZE")
    rows: list[dict[str, Any]] = [
        {
            "pid": pid,
            "command": command,
            "cpu": round(100 * (used - before.get(pid, (used, "", 0))[0]) / second / passed),
            "memory_mb": resident * page >> 20,
        }
        for pid, (used, command, resident) in after.items()
    ]
    return sorted(rows, key=lambda row: (-row["cpu"], -row["memory_mb"]))[:BUSIEST]


def main() -> None:
    """Answer Ansible."""
    module = AnsibleModule(argument_spec={}, supports_check_mode=True)
    uptime = float(Path("/proc/uptime").read_text(encoding="ascii").split()[0])
    seen = {
        "system": f"{platform.node()} {platform.release()}",
        "uptime_hours": round(uptime / 3600, 1),
        "processors": os.cpu_count(),
        "load": [round(load, 2) for load in os.getloadavg()],
        "memory": memory(),
        "disks": disks(),
        "processes": processes(),
    }
    module.exit_json(changed=False, diagnostics=seen)


if __name__ == "__main__":
    main()
