"""Narrow clients of what runbooks may touch; a client is handed to a run, never looked up.

Loaded in the child process of every run: standard library only, and what an LDAP directory needs where there is one.
"""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Protocol

from runbooks.targets.accounts import Directory
from runbooks.targets.directory import SqliteDirectory
from runbooks.targets.journal import Journal
from runbooks.targets.ldap_names import NameBook
from runbooks.targets.plays import Plays
from runbooks.targets.sqlite import TargetError

__all__ = ["TARGETS", "OpenDirectory", "Target", "TargetError", "connect", "open_directory"]


class Target(Protocol):
    """What every target client can do for a runner."""

    def allow_changes(self, allowed: bool) -> None:
        """Accept changes, or refuse every one (during checks)."""

    def close(self) -> None:
        """Let go of connections."""


class OpenDirectory(Directory, Target, Protocol):
    """A directory's client: for looking up, for runs, and to be closed."""

    def look(self) -> str:
        """Read what runs need and say in words what there is; TargetError where something is amiss."""


def open_directory(settings: Mapping[str, str], *, names: NameBook | None = None) -> OpenDirectory:
    """Open the directory that the settings describe: with `url` an LDAP server, with `path` an SQLite file.

    Both answer alike. What the file can and no server does: keep a ledger in the very transaction of a change.
    names: who is who on the server, where several clients share that.
    """
    if "url" not in settings:
        return SqliteDirectory(_path(settings))
    if "path" in settings:
        raise TargetError("the directory's settings have 'url' (an LDAP server) and 'path' (a file): keep one")
    from runbooks.targets import ldap, ldap_settings  # a fifth of a second that runs on other targets do not pay

    return ldap.LdapDirectory(ldap_settings.read(settings), names=names)


def _path(settings: Mapping[str, str]) -> Path:
    if not settings.get("path"):
        raise TargetError("the target's settings lack 'path', the file where it lies")
    path = Path(settings["path"])
    if not path.is_absolute():
        raise TargetError(f"the target's path {str(path)!r} must be absolute")
    return path


def _elsewhere(kind: str) -> Callable[[Mapping[str, str]], Target]:
    """No client for steps: what is done on such a target, another system does."""

    def refuse(_: Mapping[str, str]) -> Target:
        raise TargetError(f"a target of the kind {kind!r} is worked on by the runner {kind!r} alone")

    return refuse


TARGETS: Mapping[str, Callable[[Mapping[str, str]], Target]] = {
    "awx": _elsewhere("awx"),
    "directory": open_directory,
    "host": Plays,
    "journal": lambda settings: Journal(_path(settings)),
    "rundeck": _elsewhere("rundeck"),
    "ssm": _elsewhere("ssm"),
}


def connect(kind: str, settings: Mapping[str, str]) -> Target:
    """Open a target of this kind; TargetError naming what is wrong with the kind or the settings."""
    if kind not in TARGETS:
        raise TargetError(f"no target kind {kind!r}; there is {', '.join(TARGETS)}")
    return TARGETS[kind](settings)
