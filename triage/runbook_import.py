"""`triage runbook import`: drafts of runbooks from the job templates of a target, and what each of them lacks."""

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import click

from triage.environment import environment
from triage.output import JSON_HELP, tell, write

if TYPE_CHECKING:
    from runbooks.importing import Imported
    from triage.models import Target


@click.group("import")
def group() -> None:
    """Make drafts of runbooks from another system's jobs."""


@group.command()
@click.option("--target", "key", required=True, help="the key of a target of the kind awx")
@click.option("--customer", help="whose; needed where several customers have a target of this key")
@click.option(
    "--out",
    type=click.Path(file_okay=False, path_type=Path),
    help="where the runbooks' folders are written; left out: runbooks in TRIAGE_HOME",
)
@click.option("--json", "json_file", metavar="FILE", help=JSON_HELP)
def awx(key: str, customer: str | None, out: Path | None, json_file: str | None) -> None:
    """Write a draft for every job template that the target's token may see, and say what each lacks.

    Nothing is started, and nothing runs by a draft. A second import shows what changed, and overwrites only drafts
    that nobody edited.
    """
    from runbooks import importing
    from triage import installation

    installation.start_django()
    from triage import targets

    row = _target(key, customer)
    folder = (out or environment().home / "runbooks").absolute()
    try:
        address, found = importing.awx(targets.settings_of(row), into=folder, taken=_taken(folder))
    except (importing.NotImported, OSError) as error:
        tell(f"Nothing was imported: {error}")
        sys.exit(1)
    if json_file != "-":
        click.echo("\n".join(_lines(found)))
    counted = importing.counted(found)
    tell(f"{', '.join(f'{number} {state}' for state, number in counted.items()) or 'no job templates'}; in {folder}")
    if str(folder) not in environment().runbooks.split(":"):
        tell(f"TRIAGE_RUNBOOKS does not name {folder} yet: add it, so that completed ones are found")
    rows = [{**vars(one), "folder": str(one.folder), "lacks": list(one.lacks)} for one in found]
    write(json_file, {"target": key, "address": address, "folder": str(folder), "counts": counted, "templates": rows})


def _target(key: str, customer: str | None) -> "Target":
    from django.db import Error

    from triage.models import Customer, Target

    rows = Target.objects.filter(key=key)
    try:
        if customer is not None:
            if not Customer.objects.filter(slug=customer).exists():
                raise click.BadParameter(f"there is no customer {customer!r}", param_hint="--customer")
            rows = rows.filter(customer__slug=customer)
        found: list[Target] = list(rows[:2])
    except Error as error:
        raise click.ClickException(f"the database cannot be read: {error}") from error
    if not found:
        raise click.BadParameter(f"there is no target {key!r}", param_hint="--target")
    if len(found) > 1:
        raise click.BadParameter(f"several customers have a target {key!r}: say whose", param_hint="--customer")
    if found[0].kind != "awx":
        raise click.BadParameter(f"the target {key!r} is of the kind {found[0].kind}, not awx", param_hint="--target")
    return found[0]


def _taken(folder: Path) -> set[str]:
    """Keys of runbooks that lie elsewhere."""
    from runbooks import registry

    return {key for key, one in registry.RUNBOOKS.items() if one.folder.parent != folder}


def _lines(found: "list[Imported]") -> Iterator[str]:
    yield f"{'state':10} {'runbook':32} {'parameters':>10} {'lacks':>5}  job template"
    for one in found:
        yield f"{one.state:10} {one.key:32} {one.parameters:10} {len(one.lacks):5}  {one.number} {one.name}"
        yield from (f"{'':10} - {_shown(sentence)}" for sentence in one.lacks)
        yield from (f"{'':10} | {_shown(line)}" for line in one.diff.splitlines())


def _shown(text: str) -> str:
    """Without what a terminal would act on."""
    return "".join(c if c.isprintable() else "?" for c in text)
