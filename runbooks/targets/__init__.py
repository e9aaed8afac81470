"""Narrow clients of what runbooks may touch; a client is handed to a run, never looked up.

Loaded in the child process of every run: standard library only.
"""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Protocol

from runbooks.targets.directory import SqliteDirectory
from runbooks.targets.journal import Journal
from runbooks.targets.plays import Plays
from runbooks.targets.sqlite import TargetError

__all__ = ["TARGETS", "Target", "TargetError", "connect"]


class Target(Protocol):
    """What every target client can do for a runner."""

    def allow_changes(self, allowed: bool) -> None:
        """Accept changes, or refuse every one (during checks)."""

    def close(self) -> None:
        """Let go of connections."""


def _path(settings: Mapping[str, str]) -> Path:
    if not settings.get("path"):
        raise TargetError("the target's settings lack 'path', the file where it lies")
    path = Path(settings["path"])
    if not path.is_absolute():
        raise TargetError(f"the target's path {str(path)!r} must be absolute")
    return path


TARGETS: Mapping[str, Callable[[Mapping[str, str]], Target]] = {
    "directory": lambda settings: SqliteDirectory(_path(settings)),
    "host": Plays,
    "journal": lambda settings: Journal(_path(settings)),
}


def connect(kind: str, settings: Mapping[str, str]) -> Target:
    """Open a target of this kind; TargetError naming what is wrong with the kind or the settings."""
    if kind not in TARGETS:
        raise TargetError(f"no target kind {kind!r}; there is {', '.join(TARGETS)}")
    return TARGETS[kind](settings)
