"""A runbook's folder as bytes: which files belong to it, and whether they are still those that were decided on.

Standard library only: this is loaded in the child process of every run, which must start fast.
"""

import hashlib
import os
import stat
from collections.abc import Mapping
from pathlib import Path

DEFINITION = "runbook.toml"
DRAFT = "runbook.draft.toml"
NOT_RUN = ("README.md", "__pycache__")
FILES_LIMIT = 200
BYTES_LIMIT = 8 << 20


class FolderError(ValueError):
    """A folder cannot be a runbook's; the message names it and how to mend it."""


class Changed(Exception):
    """A file is not the one that was decided on."""


def contents(folder: Path) -> dict[str, bytes]:
    """Return every file that belongs to the runbook by its name relative to the folder, sorted.

    Not among them: definition and draft, a README.md, and what editors and Python leave behind (`.x`, `x~`, `x.pyc`).
    FolderError where something is no plain file, or where it is more than a runbook can be.
    """
    found: dict[str, bytes] = {}
    size = 0
    for path in _walk(folder):
        name = path.relative_to(folder).as_posix()
        if name in (DEFINITION, DRAFT):
            continue
        found[name] = plain(path)
        size += len(found[name])
        if len(found) > FILES_LIMIT or size > BYTES_LIMIT:
            most = f"{FILES_LIMIT} files or {BYTES_LIMIT >> 20} MiB"
            raise FolderError(f"{folder}: more than {most}, which is no runbook: move what is not run elsewhere")
    return dict(sorted(found.items()))


def _walk(folder: Path) -> list[Path]:
    found = []
    for path in sorted(folder.iterdir()):
        if path.name.startswith(".") or path.name.endswith(("~", ".pyc")) or path.name in NOT_RUN:
            continue
        found += _walk(path) if path.is_dir() and not path.is_symlink() else [path]
    return found


def plain(path: Path) -> bytes:
    """Return the bytes of a plain file; FolderError for a link, pipe or device, OSError where it cannot be read."""
    if path.is_symlink():
        raise FolderError(f"{path}: is a link, and what it points to may change unseen: put the file itself here")
    # Without blocking: a pipe that nobody writes to would be waited for without end.
    descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    with os.fdopen(descriptor, "rb") as file:
        if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
            raise FolderError(f"{path}: is no plain file: take it out of the folder")
        return file.read(BYTES_LIMIT + 1)


def verified(folder: Path, digests: Mapping[str, str]) -> dict[str, bytes]:
    """Return the bytes of the named files; Changed unless each has the sha256 (hex) given for it."""
    found = {}
    for name, sha256 in digests.items():
        path = folder / name
        try:
            data = plain(path)
        except (FolderError, OSError) as error:
            raise Changed(f"{path} was changed after it was loaded ({error}): restart the workers") from error
        if hashlib.sha256(data).hexdigest() != sha256:
            raise Changed(f"{path} was changed after it was loaded: restart the workers")
        found[name] = data
    return found
