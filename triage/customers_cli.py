"""The commands for many customers: `triage apply` sets them up from a file, `triage offboard` takes one away."""

import os
import sys
import time
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

import click

from triage.environment import environment
from triage.output import JSON_HELP, tell, who, write

if TYPE_CHECKING:
    from triage import applying
    from triage.models import Customer


@click.command()
@click.argument("file", required=False, type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option("--yes", is_flag=True, help="write without asking; without a terminal nothing is written otherwise")
@click.option("--plan", "plan_only", is_flag=True, help="show the plan and end, even at a terminal")
@click.option("--prune", is_flag=True, help="take out of use what the file does not name; no ticket is ever deleted")
@click.option("--export", "export", is_flag=True, help="print the present state as YAML instead")
@click.option("--links", is_flag=True, help="print a one-time sign-in link for each new person")
@click.option("--secrets", "secrets_file", type=click.Path(dir_okay=False, path_type=Path),
              help="write the secrets that are made to this new file, readable by its owner alone")  # fmt: skip
@click.option("--json", "json_file", metavar="FILE", help=JSON_HELP)
def apply(
    file: Path | None,
    yes: bool,
    plan_only: bool,
    prune: bool,
    export: bool,
    links: bool,
    secrets_file: Path | None,
    json_file: str | None,
) -> None:
    """Set up customers, sources, people and runbook policies from FILE; shows what would change, and asks."""
    if export == (file is not None):
        raise click.UsageError("name a file to apply, or say --export")
    if yes and plan_only:
        raise click.UsageError("--plan writes nothing and --yes writes: choose one")
    from triage import installation

    with installation.ready():
        from triage import applying

        if file is None:
            click.echo(applying.exported(), nl=False)
            return
        read = applying.load(file)
        shown = applying.plan(read, prune=prune)
        for line in shown.lines():
            tell(line)
        if plan_only or not (yes or _agreed(shown)):
            write(json_file, {**shown.as_dict(), "applied": False, "mapped": 0})
            return
        done = _carried_out(read, shown, prune=prune, secrets_file=secrets_file)
        _tell(done, links=links)
        write(json_file, {**done.plan.as_dict(), "applied": True, "mapped": done.mapped})


def _agreed(shown: "applying.Plan") -> bool:
    """Whether the person at the terminal wants it; where there is nothing to do nobody is asked."""
    if not shown.changes:
        return True
    if not sys.stdin.isatty():
        tell("Nothing was written: say --yes to carry the plan out.")
        return False
    return click.confirm("Carry this out?", err=True)


def _carried_out(
    read: "applying.Read", shown: "applying.Plan", *, prune: bool, secrets_file: Path | None
) -> "applying.Applied":
    """Write it, and tell the secrets that were made before they count: one that cannot be told would be lost."""
    from django.utils import timezone

    from triage import applying, bell

    def told(made: "applying.Made") -> None:
        _tell_made(made, secrets_file)

    done = applying.carry_out(read, shown=shown, prune=prune, actor=who(), at=timezone.now(), tell_made=told)
    if done.mapped:
        bell.ring_now("classify_waiting")
    return done


def _tell_made(made: "applying.Made", secrets_file: Path | None) -> None:
    if secrets_file:
        text = "".join(f"{name}\t{secret}\n" for name, secret in made)
        try:
            file = os.open(secrets_file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        except FileExistsError:
            raise click.BadParameter(f"{secrets_file} is there already: name a new file") from None
        with os.fdopen(file, "w", encoding="utf-8") as opened:
            opened.write(text)
            opened.flush()
            os.fsync(file)
        if made:
            tell(f"{len(made)} signing secrets were made; they stand in {secrets_file}")
    elif made:
        tell("These signing secrets were made. They are shown now and never again:")
        for name, secret in made:
            tell(f"    {name}: {secret}")


def _tell(done: "applying.Applied", *, links: bool) -> None:
    from django.utils import timezone

    from triage.web.signin import make_sign_in_link

    for person in done.people if links else ():
        tell(f"{person.username} signs in once by {environment().base_url}"
             f"{make_sign_in_link(person, at=timezone.now())}")  # fmt: skip
    if done.mapped:
        tell(f"{done.mapped} waiting tickets have found their customer")


@click.command()
@click.argument("customer")
@click.option("--export", "path", required=True, type=click.Path(path_type=Path, resolve_path=True),
              help="a new FILE.zip, or a new folder")  # fmt: skip
@click.option("--export-only", is_flag=True, help="write the export and delete nothing")
@click.option("--yes", "agreed", metavar="CUSTOMER", help="the customer's name again, where nobody can be asked")
@click.option("--json", "json_file", metavar="FILE", help=JSON_HELP)
def offboard(customer: str, path: Path, export_only: bool, agreed: str | None, json_file: str | None) -> None:
    """Export everything of CUSTOMER, check the export, then delete the customer from database, lake and disk."""
    if agreed is not None and agreed != customer:
        raise click.BadParameter(f"it names {agreed!r}, not {customer!r}", param_hint="--yes")
    from triage import installation

    with installation.ready():
        from django.utils import timezone

        from triage import offboarding
        from triage.models import Customer

        found = Customer.objects.filter(slug=customer).first()
        if found is None:
            _gone(customer)
            return
        begun = time.monotonic()
        if export_only:
            result = offboarding.export_only(found, path, at=timezone.now(), progress=tell)
        else:
            _sure(found, agreed)
            result = offboarding.offboard(found, path, actor=who(), progress=tell)
        tell(f"{result.export}: {sum(result.rows.values())} rows, SHA-256 {result.sha256}")
        for what, why in result.kept.items():
            tell(f"not in it, or kept: {what}: {why}")
        if result.deleted:
            tell(f"{customer} is deleted. Backups, other hosts' model folders and the ITSM itself are yours to clear.")
        write(json_file, {**asdict(result), "customer": customer, "seconds": round(time.monotonic() - begun, 1)})


def _gone(slug: str) -> None:
    """Say when it left, where it did: the command that is given again after its end has nothing to do."""
    from triage import offboarding

    left = offboarding.earlier(slug)
    if left is None:
        raise click.BadParameter(f"there is no customer {slug!r}", param_hint="CUSTOMER")
    tell(f"{slug} left on {left.at:%Y-%m-%d %H:%M} UTC: {left.reason}")


def _sure(customer: "Customer", agreed: str | None) -> None:
    """Two steps: what will go is shown, and the customer's name is typed."""
    from triage import offboarding

    counts = offboarding.counts(customer.pk)
    for name, count in sorted(counts.items()):
        if count:
            tell(f"    {name}: {count}")
    tell(f"All this of {customer.name} ({customer.slug}) is exported, then deleted for good, with its part of the lake")
    tell("and the accounts of people who belong to no other customer.")
    if agreed == customer.slug:
        return
    if not sys.stdin.isatty():
        raise click.UsageError(f"nothing was done: say --yes {customer.slug}")
    if click.prompt(f"Type {customer.slug} to go on", default="", show_default=False, err=True) != customer.slug:
        raise click.Abort
