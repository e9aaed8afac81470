"""Drafts: definitions that somebody has yet to complete, in a file of another name, so that nothing ever runs by them.

A draft is a `runbook.toml` that is called `runbook.draft.toml` and has a list `lacks` besides. Its first lines say
where it was made from, and which bytes were written, so that what somebody changed by hand is never overwritten.
"""

import hashlib
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import tomli_w

from runbooks import awx_drafts, definition, files
from runbooks.definition import DefinitionError
from runbooks.files import DEFINITION, DRAFT
from runbooks.source import PHASES

_DIGEST = re.compile(rb"# sha256 of all that follows: ([0-9a-f]{64})\r?\n")
_ORIGIN = re.compile(r"# Draft of job template ([0-9]{1,18}) of (\S+)")
WANTED: Final = {
    "pre_check": "no job looks beforehand whether the action is needed and allowed",
    "post_check": "no job looks afterwards whether it was done",
    "undo": 'no job takes the action back; an irreversible one says reversible = false and tier = "irreversible"',
    "undo_check": "no job looks whether the former state is back",
}


@dataclass(frozen=True)
class Draft:
    """What is wrong with a draft, and what it lacks: sentences."""

    folder: Path
    key: str
    lacks: tuple[str, ...]
    problems: tuple[str, ...]


def written(table: Mapping[str, Any], lacks: tuple[str, ...], *, key: str, number: int, address: str, told: str) -> str:
    """Return a draft's text. address: of the AWX, without spaces. told: one line of visible characters."""
    body = tomli_w.dumps({"key": key, **({"lacks": list(lacks)} if lacks else {}), **table})
    digest = hashlib.sha256(body.encode("utf-8")).hexdigest()
    head = [
        f"# Draft of job template {number} of {address}",
        f"# {told}" if told else "#",
        f"# Nothing runs by a draft. Complete it, take out what no longer lacks, and rename it to {DEFINITION}.",
        "# Changed by hand, it is not overwritten when it is imported again.",
        f"# sha256 of all that follows: {digest}",
    ]
    return "\n".join(head) + "\n" + body


def origin(text: str) -> tuple[int, str] | None:
    """Return number and address of the job template that a draft, or a definition made of one, was made from."""
    found = _ORIGIN.match(text)
    return (int(found[1]), found[2]) if found else None


def untouched(data: bytes) -> bool:
    """Whether a draft is as it was written by an import."""
    found = _DIGEST.search(data[:4096])
    return found is not None and hashlib.sha256(data[found.end() :]).hexdigest().encode() == found[1]


def save(folder: Path, text: str) -> None:
    """Write a folder's draft, whole or not at all, for nobody else to change; files.FolderError where it cannot be."""
    if folder.is_symlink() or (folder / DRAFT).is_symlink():
        raise files.FolderError(f"{folder}: is a link, and what it points to may be anything: take it away")
    folder.mkdir(parents=True, exist_ok=True)
    folder.chmod(folder.stat().st_mode & 0o755)
    half = folder / f".{DRAFT}.{os.getpid()}"
    half.write_text(text, encoding="utf-8", newline="\n")
    half.chmod(0o644)
    half.replace(folder / DRAFT)


def read(folder: Path) -> Draft:
    """Look a draft over: what it lacks, and what would be wrong with it even if nothing did."""
    path = folder / DRAFT
    try:
        table = definition.table_of(path)
    except DefinitionError as error:
        return Draft(folder, folder.name, (), error.problems)
    noted = table.pop("lacks", [])
    if not isinstance(noted, list) or not all(isinstance(each, str) for each in noted):
        return Draft(folder, folder.name, (), (f"{path}: lacks: write a list of texts in quotes",))
    lacks = [*_articles(table), *_phases(table), *_patterns(table), *noted]
    try:
        definition.of(table, path=path, folder=folder)
    except DefinitionError as error:
        return Draft(folder, folder.name, tuple(lacks), error.problems)
    return Draft(folder, folder.name, tuple(lacks), ())


def _articles(table: Mapping[str, Any]) -> list[str]:
    return [] if table.get("article_keys") else ["article_keys: no article is named that this runbook is for"]


def _phases(table: dict[str, Any]) -> list[str]:
    """The phases that are missing; the action's job stands in for each, so that all else can be checked."""
    runner = table.get("runner")
    settings = table.get(runner) if isinstance(runner, str) else None
    if not isinstance(settings, dict) or not isinstance(settings.get("action"), dict):
        return []
    wanted = [name for name in PHASES if name in WANTED and (table.get("reversible") is True or "undo" not in name)]
    missing = [name for name in wanted if name not in settings]
    for name in missing:
        settings[name] = dict(settings["action"])
    return [f"{runner}.{name}: {WANTED[name]}" for name in missing]


def _patterns(table: Mapping[str, Any]) -> list[str]:
    free = awx_drafts.free_texts(table)
    return [f"parameters ({name}).pattern: any text is taken: write the pattern that its values have" for name in free]


def made_of(text: str) -> str:
    """Return the digest of what an import wrote into this file, whatever was made of it since; empty where none did."""
    found = _DIGEST.search(text.encode("utf-8")[:4096])
    return found[1].decode("ascii") if found else ""
