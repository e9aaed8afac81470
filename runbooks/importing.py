"""Reads all job templates of an AWX and writes a draft of a runbook for each, which somebody then completes.

Nothing in AWX is changed or started. What somebody wrote into a draft, or made a runbook of, is never overwritten.
"""

import difflib
from collections import Counter
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Literal

from runbooks import awx_drafts, drafts, files
from runbooks.awx_drafts import Source
from runbooks.files import DEFINITION, DRAFT, FolderError
from runbooks.runners.awx_templates import API, identity
from runbooks.runners.exchange import Denied, Server
from runbooks.runners.jobs import RemoteError
from runbooks.targets import job_systems
from runbooks.targets.job_systems import Awx
from runbooks.targets.sqlite import TargetError

State = Literal["new", "updated", "unchanged", "edited", "in use", "gone", "unreadable"]

PAGE: Final = 50
MOST_TEMPLATES: Final = 2_000
MOST_QUESTIONS: Final = 200


class NotImported(Exception):
    """Nothing could be read; the message says why and what to do."""


@dataclass(frozen=True)
class Imported:
    """One job template, or a folder whose template is gone.

    state: `new`, `updated` and `unchanged` drafts are as AWX is now; `edited` ones somebody changed, and `in use` ones
    are no drafts any more: neither is touched. diff: what was changed, or what an import would change. lacks: what
    somebody has yet to add or to look at before it can run; of `unreadable` ones, why.
    """

    number: int
    name: str
    key: str
    folder: Path
    state: State
    parameters: int
    lacks: tuple[str, ...]
    diff: str


@dataclass(frozen=True)
class _Text:
    """A draft as it would be written now."""

    body: str
    parameters: int


def awx(target: Mapping[str, str], *, into: Path, taken: Collection[str]) -> tuple[str, list[Imported]]:
    """Import all templates that the target's token may see; the AWX's address, and what became of each.

    into: the folder of the runbooks' folders. taken: keys that no new runbook may have. NotImported.
    """
    try:
        system = job_systems.awx(target)
    except TargetError as error:
        raise NotImported(str(error)) from error
    reader = _Reader(Server(system, headers={"authorization": f"Bearer {system.token.get_secret_value()}"}))
    known = _folders(into, system.url)
    used = {*taken, *(child.name for child in (into.iterdir() if into.is_dir() else ()))}
    found: list[Imported] = []
    try:
        for template in reader.templates():
            number = template["id"]
            folder = known.get(number) or into / awx_drafts.key(template.get("name"), number, taken=used)
            used.add(folder.name)
            found.append(_imported(reader, template, folder, system))
    except (RemoteError, Denied) as error:
        raise NotImported(f"the job templates cannot be read: {error}") from error
    seen = {one.number for one in found}
    gone = [(number, folder) for number, folder in sorted(known.items()) if number not in seen]
    return system.url, found + [_gone(number, folder) for number, folder in gone]


class _Reader:
    """What is asked of AWX: pages by number, never by an address that an answer holds."""

    def __init__(self, server: Server) -> None:
        self._server = server
        self._projects: dict[int, dict[str, Any] | None] = {}

    def templates(self) -> Iterator[dict[str, Any]]:
        """Every job template once, by number."""
        seen: set[int] = set()
        for page in range(1, MOST_TEMPLATES // PAGE + 1):
            answer = self._server.table(f"{API}/job_templates/", order_by="id", page_size=PAGE, page=page)
            for row in answer.get("results") or []:
                if isinstance(row, dict) and identity(row.get("id")) not in seen:
                    seen.add(row["id"])
                    yield row
            if not answer.get("next"):
                return
        raise Denied(f"there are more than {MOST_TEMPLATES} job templates: give the target a token that sees fewer")

    def source(self, template: Mapping[str, Any]) -> Source:
        """What a draft is made of; Denied where the token may not read it."""
        place = f"{API}/job_templates/{template['id']}"
        launch = self._server.table(f"{place}/launch/")
        spec = self._server.table(f"{place}/survey_spec/").get("spec") if template.get("survey_enabled") else []
        questions = [each for each in spec if isinstance(each, dict)] if isinstance(spec, list) else []
        return Source(template, launch, questions[:MOST_QUESTIONS], self._project(template.get("project")))

    def _project(self, number: object) -> dict[str, Any] | None:
        if not isinstance(number, int):
            return None
        if number not in self._projects:
            try:
                self._projects[number] = self._server.table(f"{API}/projects/{identity(number)}/")
            except Denied:
                self._projects[number] = None
        return self._projects[number]


def _folders(into: Path, address: str) -> dict[int, Path]:
    """The folders of earlier imports from this AWX, by the template's number."""
    found: dict[int, Path] = {}
    for child in sorted(into.iterdir()) if into.is_dir() else ():
        for name in (DEFINITION, DRAFT):
            made = drafts.origin(_read(child / name))
            if made is not None and made[1] == address:
                found.setdefault(made[0], child)
    return found


def _imported(reader: _Reader, template: Mapping[str, Any], folder: Path, system: Awx) -> Imported:
    name = awx_drafts.line(template.get("name"), "")
    try:
        made = awx_drafts.drafted(reader.source(template), inventory=system.inventory)
        text = drafts.written(
            made.table,
            made.lacks,
            key=folder.name,
            number=template["id"],
            address=system.url,
            told=made.description,
        )
        state, diff = _placed(folder, text)
    except (Denied, FolderError, OSError) as error:
        return Imported(template["id"], name, folder.name, folder, "unreadable", 0, (str(error),), "")
    lacks = () if state == "in use" else drafts.read(folder).lacks
    return Imported(
        template["id"], name, folder.name, folder, state, len(made.table.get("parameters", ())), lacks, diff
    )


def _gone(number: int, folder: Path) -> Imported:
    lacks = ("the job template is gone, or this token may not see it any more: take the folder away",)
    return Imported(number, "", folder.name, folder, "gone", 0, lacks, "")


def _placed(folder: Path, text: str) -> tuple[State, str]:
    """Write the draft unless somebody's work is there, and say how it differs from what is there."""
    if (folder / DEFINITION).exists():
        there = _read(folder / DEFINITION)
        # What was added since is no news; only that AWX has another template now is.
        return "in use", "" if drafts.made_of(there) == drafts.made_of(text) else _diff(there, text)
    if not (folder / DRAFT).exists():
        drafts.save(folder, text)
        return "new", ""
    data = files.plain(folder / DRAFT)
    there = data.decode("utf-8", "replace")
    if there == text:
        return "unchanged", ""
    if not drafts.untouched(data):
        return "edited", _diff(there, text)
    drafts.save(folder, text)
    return "updated", _diff(there, text)


def _diff(there: str, text: str) -> str:
    old, new = ([line for line in each.splitlines() if not line.startswith("#")] for each in (there, text))
    return "\n".join(difflib.unified_diff(old, new, "here", "AWX", lineterm="", n=1))


def _read(path: Path) -> str:
    try:
        return files.plain(path).decode("utf-8", "replace")
    except (FolderError, OSError):
        return ""


def counted(found: Collection[Imported]) -> dict[str, int]:
    """How many there are of each state."""
    return dict(Counter(one.state for one in found))
