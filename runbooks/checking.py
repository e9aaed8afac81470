"""Looks a folder or everything registered over for whoever writes runbooks: all errors and warnings of each at once."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from runbooks import definition, drafts, lint, places, registry
from runbooks.base import Runbook
from runbooks.definition import DefinitionError
from runbooks.files import DEFINITION


@dataclass(frozen=True)
class Checked:
    """One folder. runbook: None where it describes none. Errors keep it from being used, or should.

    lacks: of a draft, what somebody has yet to add or to look at; None where it is no draft.
    """

    folder: Path
    key: str
    runbook: Runbook | None
    errors: tuple[str, ...]
    warnings: tuple[str, ...]
    lacks: tuple[str, ...] | None = None


def everything() -> Iterator[Checked]:
    """Yield the registered runbooks by key, then the folders that could not be registered."""
    for key in sorted(registry.RUNBOOKS):
        yield _checked(registry.RUNBOOKS[key], [])
    for trouble in registry.troubles():
        yield Checked(trouble.folder, trouble.key, None, trouble.problems, ())
    yield from (_draft(folder, []) for folder in registry.drafts())


def folders(paths: Iterable[Path]) -> Iterator[Checked]:
    """Yield what is found in these folders, each a runbook's or holding such, registered or not."""
    for path in paths:
        for place in places.within(path.absolute()):
            problems = [place.problem] if place.problem else places.writable_by_others(place.path)
            if place.draft:
                yield _draft(place.path, problems)
                continue
            try:
                runbook = None if place.problem else definition.read(place.path)
            except DefinitionError as error:
                yield Checked(place.path, place.path.name, None, (*problems, *error.problems), ())
            else:
                if runbook is None:
                    yield Checked(place.path, place.path.name, None, tuple(problems), ())
                else:
                    yield _checked(runbook, [*problems, *_taken(runbook)])


def _draft(folder: Path, problems: list[str]) -> Checked:
    draft = drafts.read(folder)
    return Checked(folder, draft.key, None, (*problems, *draft.problems), (), draft.lacks)


def _taken(runbook: Runbook) -> Iterator[str]:
    other = registry.RUNBOOKS.get(runbook.key)
    if other is not None and other.folder != runbook.folder:
        yield f"{runbook.folder}: key: {other.folder} has the key {runbook.key!r} already: rename this one"


def _checked(runbook: Runbook, problems: list[str]) -> Checked:
    found = lint.check(runbook)
    errors = [*problems, *(str(finding) for finding in found if finding.severity == "error")]
    warnings = [str(finding) for finding in found if finding.severity == "warning"]
    warnings += [
        f"{runbook.folder / DEFINITION}: article_keys: {other.key} was written for {article} too: the "
        "article itself names the one that runs"
        for article in runbook.article_keys
        for other in registry.RUNBOOKS.values()
        if other.key != runbook.key and article in other.article_keys
    ]
    return Checked(runbook.folder, runbook.key, runbook, tuple(errors), tuple(warnings))
