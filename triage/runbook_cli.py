"""`triage runbook`: check what somebody wrote, list what there is, and try one for one ticket without running it."""

import sys
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import click

from triage import runbook_import
from triage.environment import environment
from triage.output import JSON_HELP, tell, who, write

if TYPE_CHECKING:
    from runbooks.checking import Checked
    from triage.rehearsal import Rehearsal

CUSTOMER_HELP = "whose; needed where several customers have a ticket of this number"


@click.group()
def runbook() -> None:
    """Check, list and try runbooks."""


runbook.add_command(runbook_import.group)


@runbook.command()
@click.argument("folders", nargs=-1, type=click.Path(exists=True, file_okay=False, path_type=Path))
@click.option("--customer", help="compare article keys with this customer's articles; otherwise with everybody's")
@click.option("--json", "json_file", metavar="FILE", help=JSON_HELP)
def check(folders: tuple[Path, ...], customer: str | None, json_file: str | None) -> None:
    """Look runbooks over for errors: those in FOLDERS, or all that are registered. Nothing of them is run."""
    from runbooks import checking, registry

    registry.use(environment().runbooks)
    found = list(checking.folders(folders) if folders else checking.everything())
    found, note = _with_articles(found, customer)
    for one in found:
        state = "BAD" if one.errors else "ok" if one.lacks is None else "draft"
        click.echo(f"{state:4} {one.key} ({one.folder})", err=json_file == "-")
        for kind, sentences in (("error", one.errors), ("warning", one.warnings), ("lacks", one.lacks or ())):
            for sentence in sentences:
                click.echo(f"     {kind}: {sentence}", err=json_file == "-")
    if note:
        tell(note)
    result = [
        {"key": one.key, "folder": str(one.folder), "errors": list(one.errors), "warnings": list(one.warnings)}
        | ({} if one.lacks is None else {"lacks": list(one.lacks)})
        for one in found
    ]
    write(json_file, {"runbooks": result})
    if any(one.errors for one in found):
        sys.exit(1)


@runbook.command("list")
@click.option("--json", "json_file", metavar="FILE", help=JSON_HELP)
def list_all(json_file: str | None) -> None:
    """List every runbook that can be run, and those that cannot, with the reason."""
    from runbooks import registry

    registry.use(environment().runbooks)
    known = [
        {
            "key": key,
            "title": one.title,
            "owner": one.owner,
            "tier": one.tier,
            "runner": one.runner,
            "target_kind": one.target_kind,
            "article_keys": list(one.article_keys),
            "shipped": key in registry.SHIPPED,
            "folder": str(one.folder),
        }
        for key, one in sorted(registry.RUNBOOKS.items())
    ]
    unavailable = [
        {"key": one.key, "folder": str(one.folder), "problems": list(one.problems)} for one in registry.troubles()
    ]
    drafts = [{"key": folder.name, "folder": str(folder)} for folder in registry.drafts()]
    if json_file != "-":
        for row in known:
            origin = "" if row["shipped"] else f"  {row['folder']}"
            click.echo(
                f"{row['key']:24} {row['tier']:12} {row['runner']:8} {row['target_kind']:10} {row['title']}{origin}"
            )
        for one in registry.troubles():
            click.echo(f"{one.key:24} unavailable: {one.problems[0]}")
        for draft in drafts:
            click.echo(f"{draft['key']:24} draft, nothing runs by it: triage runbook check {draft['folder']}")
    write(json_file, {"runbooks": known, "unavailable": unavailable, "drafts": drafts})


@runbook.command("try")
@click.argument("key")
@click.option("--ticket", required=True, help="its number in the ITSM, or its UUID")
@click.option("--customer", help=CUSTOMER_HELP)
@click.option("--dry-run", is_flag=True, default=True, help="the only mode; a run is ordered on the desk")
@click.option("--json", "json_file", metavar="FILE", help=JSON_HELP)
def try_one(key: str, ticket: str, customer: str | None, dry_run: bool, json_file: str | None) -> None:
    """Show what would happen if the runbook KEY were run for a ticket now, as far as that can be known.

    Only its pre-check is run. An Ansible action is tried with --check --diff; of a job elsewhere it is said what would
    be sent to launch it.
    """
    from runbooks import registry
    from triage import installation

    assert dry_run  # noqa: S101 - there is no other mode, and none may come by mistake
    with installation.ready():
        from django.utils import timezone

        from triage import rehearsal

        try:
            row = rehearsal.ticket_called(ticket, customer=customer)
            done = rehearsal.rehearse(ticket=row, runbook=registry.get(key), actor=who(), at=timezone.now())
        except (rehearsal.NotRehearsed, registry.RegistryError) as error:
            raise click.UsageError(str(error)) from error
        if json_file != "-":
            click.echo("\n".join(_lines(done)))
        write(json_file, rehearsal.as_dict(done))


def _lines(done: "Rehearsal") -> Iterable[str]:
    book, ticket = done.runbook, done.ticket
    whose = ticket.customer.slug if ticket.customer else ""
    yield f"{book.title} ({book.key}) for {ticket.external_id} of {whose}, a rehearsal: nothing is changed"
    for each in done.found:
        where = f", {each.source}{f': ...{each.excerpt}...' if each.excerpt else ''}" if each.source else ""
        told = (
            f"{each.value!r}{where}" if each.value else f"not found: {each.problem}" if each.problem else "not needed"
        )
        yield f"  {each.name:14} {told}"
        if each.question:
            yield f"  {'':14} would be asked: {each.question}"
    enough = "enough" if done.assured else "not enough: a person confirms"
    yield f"  {'assurance':14} {done.assurance}, and {book.assurance} is needed: {enough}"
    yield f"  {'target':14} {done.target or 'none'}"
    limits = book.limits
    yield f"  {'limits':14} {limits.runs_an_hour} runs an hour, {limits.concurrent} at the same moment"
    for obstacle in done.obstacles:
        yield f"  {'in the way':14} {obstacle}"
    yield f"  {'certificate':14} {'covers it' if done.decided.covered else 'does not cover it'}: {done.decided.why}"
    if done.decided.mode:
        yield f"  {'decision now':14} {done.decided.mode}: {done.decided.reason}"
    if done.pre_check is None:
        yield f"  {'pre-check':14} was not run: {'the target is missing' if done.complete else 'a value is missing'}"
    else:
        yield f"  {'pre-check':14} {'yes' if done.pre_check.passed else 'no'}: {done.pre_check.message}"
    if done.action is not None:
        yield f"  {'action':14} {'would' if done.action.known else 'cannot be foreseen'}: {done.action.message}"
        for line in done.action.output.splitlines():
            # A host writes what it likes, and a terminal acts on more than text.
            yield f"    {''.join(c if c.isprintable() else '?' for c in line)}"


def _with_articles(found: "list[Checked]", customer: str | None) -> "tuple[list[Checked], str]":
    """Warnings about article keys, where there is a database to compare them with; else a note that there is none."""
    home = environment().home
    if not environment().database_url and not (home / "triage.sqlite3").is_file():
        return found, f"article keys were not compared: there is no database in {home}"
    from django.db import Error

    from triage import installation

    installation.start_django()
    try:
        named = _articles(customer)
    except Error as error:
        return found, f"article keys were not compared: the database cannot be read: {error}"
    return [replace(one, warnings=(*one.warnings, *_unmatched(one, named))) for one in found], ""


def _articles(customer: str | None) -> dict[str, set[str]]:
    """The runbooks that the live articles of each key name."""
    from triage.models import Article, Customer

    rows = Article.objects.filter(retired_at__isnull=True)
    if customer is not None:
        whose = Customer.objects.filter(slug=customer).first()
        if whose is None:
            raise click.BadParameter(f"there is no customer {customer!r}", param_hint="--customer")
        rows = Article.objects.offered_to(whose)
    named: dict[str, set[str]] = {}
    for key, names in rows.values_list("key", "runbook"):
        named.setdefault(key, set()).add(names)
    return named


def _unmatched(one: "Checked", named: dict[str, set[str]]) -> Iterable[str]:
    from runbooks import registry

    if one.key in registry.SHIPPED:
        return  # written for the articles of the demo, which are not everybody's
    definition = one.folder / "runbook.toml"
    for article in one.runbook.article_keys if one.runbook else ():
        if article not in named:
            yield f"{definition}: article_keys: there is no live article {article}: add it, or take the key out"
        elif one.key not in named[article]:
            other = ", ".join(sorted(filter(None, named[article]))) or "no runbook"
            yield f"{definition}: article_keys: article {article} names {other}: name {one.key} in it to make it run"
