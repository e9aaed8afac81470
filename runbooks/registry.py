"""Every runbook there is: the shipped ones, one folder each in `library/`, and those that operators add.

A shipped runbook that does not hold together stops the start. One of an operator's does not: it is unavailable, the
others go on, and `troubles` says what is wrong with it.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from types import MappingProxyType

from runbooks import definition, places
from runbooks.base import Runbook
from runbooks.definition import DefinitionError
from runbooks.files import DEFINITION
from runbooks.places import Place

LIBRARY = Path(__file__).parent / "library"


class RegistryError(ValueError):
    """The shipped runbooks contradict each other, or there is none of that name; the message names them."""


@dataclass(frozen=True)
class Trouble:
    """A folder whose runbook is unavailable. key: what it would have been called. problems: sentences with the mend."""

    folder: Path
    key: str
    problems: tuple[str, ...]


def registered(runbooks: Iterable[Runbook]) -> Mapping[str, Runbook]:
    """Return the runbooks by key; RegistryError when two have the same key or claim the same article."""
    by_key: dict[str, Runbook] = {}
    claimed: dict[str, str] = {}
    for runbook in runbooks:
        if runbook.key in by_key:
            raise RegistryError(f"two runbooks have the key {runbook.key!r}: rename one")
        for article in runbook.article_keys:
            if article in claimed:
                raise RegistryError(f"{claimed[article]} and {runbook.key} both claim the article {article!r}")
            claimed[article] = runbook.key
        by_key[runbook.key] = runbook
    return MappingProxyType(by_key)


def _shipped() -> Iterator[Runbook]:
    for path in sorted(LIBRARY.iterdir()):
        if (path / DEFINITION).exists():
            yield definition.read(path)


SHIPPED: Mapping[str, Runbook] = registered(_shipped())
_known: dict[str, Runbook] = dict(SHIPPED)
_troubles: list[Trouble] = []
_drafts: list[Path] = []

RUNBOOKS: Mapping[str, Runbook] = MappingProxyType(_known)
"""All that can be run. The same object for the life of the process, whatever `use` makes of it."""


def use(setting: str = "", *, packages: bool = True) -> None:
    """Make the shipped runbooks, those of the setting's folders and those of packages the ones that there are.

    Called once, when a process starts. Folders are separated by colons; each is a runbook's, or holds such.
    """
    found = list(chain(places.from_setting(setting), places.from_packages() if packages else ()))
    added, troubles = collected(found)
    for key in set(_known) - set(SHIPPED) - set(added):
        del _known[key]
    _known.update(added)
    _troubles[:] = troubles
    _drafts[:] = dict.fromkeys(place.path for place in found if place.draft)


def collected(found: Iterable[Place]) -> tuple[dict[str, Runbook], list[Trouble]]:
    """Return the operators' runbooks that can be used by key, and what is wrong with the others."""
    added: dict[str, Runbook] = {}
    troubles: list[Trouble] = []
    seen: set[Path] = set()
    for place in found:
        if place.path in seen or place.draft:
            continue
        seen.add(place.path)
        problems = [place.problem] if place.problem else places.writable_by_others(place.path)
        if not problems:
            try:
                runbook = definition.read(place.path)
            except DefinitionError as error:
                problems = list(error.problems)
            else:
                other = SHIPPED.get(runbook.key) or added.get(runbook.key)
                if other is None:
                    added[runbook.key] = runbook
                    continue
                problems = [f"{place.path}: key: {other.folder} has the key {runbook.key!r} already: rename this one"]
        troubles.append(Trouble(place.path, place.path.name, tuple(problems)))
    return added, troubles


def troubles() -> tuple[Trouble, ...]:
    """Return the operators' folders whose runbooks are unavailable, and why."""
    return tuple(_troubles)


def drafts() -> tuple[Path, ...]:
    """Return the operators' folders that hold a draft only, by which nothing runs."""
    return tuple(_drafts)


def why_not(key: str) -> str:
    """Return why the runbook of this key is unavailable, in one sentence; empty where nothing is known of it."""
    if key in RUNBOOKS:
        return ""
    first = next((trouble for trouble in _troubles if trouble.key == key), None)
    if first is None and key in {folder.name for folder in _drafts}:
        return f"the runbook {key} is a draft, by which nothing runs"
    # For agents, to whom the place of the folder on the server says nothing.
    return f"the runbook {key} is unavailable: {first.problems[0].replace(f'{first.folder}/', '')}" if first else ""


def get(key: str) -> Runbook:
    """Return the runbook of this key; RegistryError naming those that exist."""
    if key not in RUNBOOKS:
        raise RegistryError(why_not(key) or f"no runbook {key!r}; there is {', '.join(RUNBOOKS)}")
    return RUNBOOKS[key]


def for_article(article_key: str) -> Runbook | None:
    """Return the runbook that was written for an article, an operator's own before a shipped one, or None."""
    written = [runbook for runbook in RUNBOOKS.values() if article_key in runbook.article_keys]
    return next((runbook for runbook in written if runbook.key not in SHIPPED), written[0] if written else None)
