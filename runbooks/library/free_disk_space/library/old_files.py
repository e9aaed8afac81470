"""Counts, and with `delete` deletes, plain files that were neither read nor written for a number of days.

Folders are walked by their descriptors, so nobody who can write there can lead the walk elsewhere by a link: links are
neither followed nor deleted. Other file systems mounted below, and files that a process has open, are left alone.
"""

import os
import stat
import time
from contextlib import suppress
from pathlib import Path
from typing import Any

from ansible.module_utils.basic import AnsibleModule

MOST_FILES = 100_000


def in_use() -> set[tuple[int, int]]:
    """Return device and inode of every file that a process has open, as far as this user may see."""
    found = set()
    for folder in Path("/proc").iterdir():
        if folder.name.isdigit():
            with suppress(OSError):
                for descriptor in (folder / "fd").iterdir():
                    with suppress(OSError):
                        status = descriptor.stat()
                        found.add((status.st_dev, status.st_ino))
    return found


class Sweep:
    """One walk through the folders. files, bytes: old ones. busy: old ones that are in use."""

    def __init__(self, *, delete: bool) -> None:
        self.delete = delete
        self.open = in_use()
        self.files = 0
        self.bytes = 0
        self.busy = 0

    def walk(self, path: str, days: int) -> None:
        """Go through one folder; OSError where it is none or is reached by a link."""
        if os.path.realpath(path) != path:
            raise NotADirectoryError(f"{path} is reached by a link: give its real path")
        top = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
        try:
            device, before = os.fstat(top).st_dev, time.time() - days * 86_400
            for _, folders, names, here in os.fwalk(".", dir_fd=top, follow_symlinks=False):
                folders[:] = [name for name in folders if self._status(name, here, device) is not None]
                for name in names:
                    status = self._status(name, here, device)
                    if status is not None and max(status.st_mtime, status.st_atime) < before:
                        self._old(name, here, status)
        finally:
            os.close(top)

    def _status(self, name: str, here: int, device: int) -> "os.stat_result | None":
        with suppress(OSError):
            status = os.stat(name, dir_fd=here, follow_symlinks=False)
            return status if status.st_dev == device else None
        return None

    def _old(self, name: str, here: int, status: os.stat_result) -> None:
        if not stat.S_ISREG(status.st_mode) or self.files >= MOST_FILES:
            return
        if (status.st_dev, status.st_ino) in self.open:
            self.busy += 1
            return
        if self.delete:
            try:
                os.unlink(name, dir_fd=here)
            except OSError:
                return
        self.files += 1
        # A file of several names frees nothing before the last one goes.
        self.bytes += status.st_blocks * 512 if status.st_nlink == 1 else 0


def main() -> None:
    """Answer Ansible."""
    spec: dict[str, Any] = {
        "folders": {"type": "dict", "required": True},
        "delete": {"type": "bool", "default": False},
    }
    module = AnsibleModule(argument_spec=spec, supports_check_mode=True)
    sweep = Sweep(delete=module.params["delete"] and not module.check_mode)
    try:
        for folder in module.params["folders"].values():
            sweep.walk(folder["path"], int(folder["older_than_days"]))
    except OSError as error:
        module.fail_json(msg=str(error))
    changed = module.params["delete"] and sweep.files > 0
    module.exit_json(changed=changed, files=sweep.files, mb=sweep.bytes >> 20, in_use=sweep.busy)


if __name__ == "__main__":
    main()
