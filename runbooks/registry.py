"""Every runbook there is: one line each. A new runbook is a folder in `library/` and a line here."""

import importlib
from collections.abc import Iterable, Mapping
from types import MappingProxyType

from runbooks.base import Runbook
from runbooks.runners import RUNNERS
from runbooks.targets import TARGETS

FOLDERS = (
    "runbooks.library.unlock_account",
    "runbooks.library.add_to_group",
    "runbooks.library.raise_mailbox_quota",
    "runbooks.library.record_only",
)


class RegistryError(ValueError):
    """The registered runbooks contradict each other; the message names them."""


def described_in(folder: str) -> Runbook:
    """Return the RUNBOOK that a folder's package describes; RegistryError when there is none."""
    try:
        found = getattr(importlib.import_module(folder), "RUNBOOK", None)
    except ModuleNotFoundError as error:
        raise RegistryError(f"{folder}: {error.name} cannot be imported") from error
    if not isinstance(found, Runbook):
        raise RegistryError(f"{folder}: its __init__.py must set RUNBOOK to a Runbook")
    return found


def registered(runbooks: Iterable[Runbook]) -> Mapping[str, Runbook]:
    """Return the runbooks by key; RegistryError when a key, article, runner or target does not fit.

    The steps are read here too, so that a missing part fails at start-up and not in the night.
    """
    by_key: dict[str, Runbook] = {}
    claimed: dict[str, str] = {}
    for runbook in runbooks:
        if runbook.key in by_key:
            raise RegistryError(f"two runbooks have the key {runbook.key!r}: rename one")
        if runbook.runner not in RUNNERS:
            raise RegistryError(f"{runbook.key}: no runner {runbook.runner!r}; there is {', '.join(RUNNERS)}")
        if runbook.target_kind not in TARGETS:
            kinds = ", ".join(TARGETS)
            raise RegistryError(f"{runbook.key}: no target kind {runbook.target_kind!r}; there is {kinds}")
        for article in runbook.article_keys:
            if article in claimed:
                raise RegistryError(f"{claimed[article]} and {runbook.key} both claim the article {article!r}")
            claimed[article] = runbook.key
        _ = runbook.steps
        by_key[runbook.key] = runbook
    return MappingProxyType(by_key)


RUNBOOKS: Mapping[str, Runbook] = registered(described_in(folder) for folder in FOLDERS)


def get(key: str) -> Runbook:
    """Return the runbook of this key; RegistryError naming those that exist."""
    if key not in RUNBOOKS:
        raise RegistryError(f"no runbook {key!r}; there is {', '.join(RUNBOOKS)}")
    return RUNBOOKS[key]


def for_article(article_key: str) -> Runbook | None:
    """Return the runbook that is shipped for an article, or None."""
    for runbook in RUNBOOKS.values():
        if article_key in runbook.article_keys:
            return runbook
    return None
