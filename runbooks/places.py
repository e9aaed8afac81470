"""Where operators keep their own runbooks: folders of a setting and installed packages, and who else can write there.

A runbook is code that runs with the rights of the worker, so its folder is trusted only as far as its permissions go.
"""

import importlib.util
import os
import stat
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path

from runbooks.files import DEFINITION, DRAFT
from runbooks.source import STEPS

GROUP = "triage.runbooks"
"""The entry points of packages that bring runbooks: a package, or `module:function` that returns folders."""

_OTHERS = stat.S_IWGRP | stat.S_IWOTH


@dataclass(frozen=True)
class Place:
    """One folder that should be a runbook's, or `problem`: why there is none, with the mend.

    draft: it holds a draft only, by which nothing runs.
    """

    path: Path
    problem: str = ""
    draft: bool = False


def from_setting(setting: str) -> Iterator[Place]:
    """Yield the runbook folders of a list of folders, separated by colons."""
    for part in setting.split(os.pathsep):
        if not part:
            continue
        path = Path(part)
        if path.is_absolute():
            yield from within(path)
        else:
            yield Place(path, f"{part}: write the whole path, from / on")


def from_packages() -> Iterator[Place]:
    """Yield the runbook folders of installed packages; one that fails is a problem and stops no other."""
    # By name, so that of two that claim one key the same one has it in every process.
    for point in sorted(metadata.entry_points(group=GROUP), key=lambda point: (point.value, point.name)):
        try:
            paths = _package(point)
        except (Exception, SystemExit) as error:  # noqa: BLE001 - a package's own code may raise anything
            name = f"{point.name} = {point.value}"
            yield Place(Path(point.value), f"entry point {name}: {type(error).__name__}: {error}: mend the package")
        else:
            for path in paths:
                yield from within(path)


def _package(point: metadata.EntryPoint) -> list[Path]:
    if not point.attr:
        # The package itself is not needed, so none of its code runs.
        found = importlib.util.find_spec(point.module)
        if found is None or not found.submodule_search_locations:
            raise ValueError(f"there is no package {point.module}")
        return [Path(path) for path in found.submodule_search_locations]
    given = point.load()()
    paths = [given] if isinstance(given, (str, Path)) else list(given) if isinstance(given, Iterable) else []
    if not paths or not all(isinstance(path, (str, Path)) and Path(path).is_absolute() for path in paths):
        raise ValueError("the function must return a folder or a list of folders, with whole paths")
    return [Path(path) for path in paths]


def within(path: Path) -> Iterator[Place]:
    """Yield the folder itself where it is a runbook's, else the runbooks in it, by name."""
    try:
        path = path.resolve(strict=True)
        if (path / DEFINITION).exists():
            yield Place(path)
            return
        if (path / DRAFT).exists():
            yield Place(path, draft=True)
            return
        inner = sorted(child for child in path.iterdir() if child.is_dir() and not child.name.startswith((".", "_")))
    except OSError as error:
        yield Place(path, f"{path}: {error.strerror}: make the folder readable, or take it out of the list")
        return
    found = [child for child in inner if any((child / name).exists() for name in (DEFINITION, STEPS, DRAFT))]
    if not found:
        yield Place(path, f"{path}: holds no runbook: a runbook is a folder with a {DEFINITION}")
    for child in found:
        yield Place(child.resolve(), draft=not any((child / name).exists() for name in (DEFINITION, STEPS)))


def writable_by_others(folder: Path) -> list[str]:
    """Return who besides this user and root could change what the folder runs, a sentence each with the mend.

    Looks at the folder, all in it, and every folder above: who can write there can put another in its place.
    """
    mine = {0, os.geteuid()}
    found = []
    for path in [*reversed(folder.parents), *_all_in(folder)]:
        try:
            status = path.lstat()
        except OSError as error:
            found.append(f"{path}: {error.strerror}: make it readable")
            continue
        if stat.S_ISLNK(status.st_mode):
            continue  # refused as such, where it is read
        if status.st_uid not in mine:
            found.append(f"{path}: belongs to another user (uid {status.st_uid}): chown it to this user or to root")
        # A sticky folder lets nobody replace what is another's.
        shared = status.st_mode & stat.S_ISVTX and path in folder.parents
        if status.st_mode & _OTHERS and not shared:
            mode = stat.S_IMODE(status.st_mode)
            found.append(f"{path}: others can write to it (mode {mode:o}): chmod go-w {path}")
    return found


def _all_in(folder: Path) -> list[Path]:
    return [folder, *sorted(path for path in folder.rglob("*"))]
