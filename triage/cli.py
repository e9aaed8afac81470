"""The `triage` command. Exit 0 on success, 2 on bad usage, 1 on failure; heavy parts load when a command needs them."""

import os
import signal
import sys
import tempfile
from pathlib import Path
from typing import NoReturn

import click

from triage import customers_cli, pull_cli, runbook_cli
from triage.environment import EnvironmentInvalid, environment
from triage.output import JSON_HELP, tell, who, write

PROFILES = ("automatic", "blazingtext")  # classifier.profiles, whose import would slow every command down
PROFILE_HELP = "blazingtext: BlazingText's documented defaults, fastText alone"


@click.group(context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110})
@click.version_option(package_name="triage")
def cli() -> None:
    """Reads IT support tickets, finds the article that solves each, and runs its runbook only under a certificate."""


@cli.command()
@click.option("--once", is_flag=True, help="end when every ticket is decided and no run is under way")
@click.option("--tickets", type=click.IntRange(1, 100_000), default=300, show_default=True, help="how many to send")
@click.option("--data", type=click.Path(exists=True, dir_okay=False, path_type=Path), help="a labelled JSONL file")
@click.option("--port", type=click.IntRange(0, 65535), default=0, help="of the web server; 0: a free one")
@click.option("--seed", type=int, default=1, show_default=True)
@click.option("--json", "json_file", metavar="FILE", help=JSON_HELP)
def demo(once: bool, tickets: int, data: Path | None, port: int, seed: int, json_file: str | None) -> None:
    """From an empty folder to a working product, with a stream of signed webhooks."""
    from triage.demo import journey

    home = os.environ.get("TRIAGE_DEMO_HOME")
    with tempfile.TemporaryDirectory(prefix="triage-demo-", ignore_cleanup_errors=True) as temporary:
        result = journey.run(
            home=Path(home or temporary), once=once, tickets=tickets, data=data, port=port, seed=seed, tell=tell
        )
    write(json_file, result)
    if result["lost"] or result.get("broken_promise"):
        sys.exit(1)


@cli.command()
@click.option("--port", type=click.IntRange(1, 65535), default=8000, show_default=True)
def up(port: int) -> None:
    """Run the product on this machine until it is stopped."""
    from triage import installation

    installation.up(port=port, tell=tell)


@cli.command()
@click.option("--json", "json_file", metavar="FILE", help=JSON_HELP)
def doctor(json_file: str | None) -> None:
    """Look at every part and say what is wrong and how to mend it."""
    from triage import doctor as examination

    findings = examination.examine()
    for finding in findings:
        click.echo(f"{'ok  ' if finding.good else 'BAD '} {finding.part}: {finding.words}", err=json_file == "-")
    write(json_file, {"findings": [finding.as_dict() for finding in findings]})
    if not all(finding.good for finding in findings):
        sys.exit(1)


@cli.command()
@click.option("--train", required=True, type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option("--valid", type=click.Path(exists=True, dir_okay=False, path_type=Path), help="rows that certify")
@click.option("--test", required=True, type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option("--oos", type=click.Path(exists=True, dir_okay=False, path_type=Path), help="out-of-scope rows")
@click.option("--oos-share", type=click.FloatRange(0, 0.9), help="thin the out-of-scope rows to this share")
@click.option("--alpha", "alphas", type=click.FloatRange(0, 1, min_open=True, max_open=True), multiple=True)
@click.option("--delta", type=click.FloatRange(0, 1, min_open=True, max_open=True), default=0.05, show_default=True)
@click.option("--profile", type=click.Choice(PROFILES), default="automatic", show_default=True, help=PROFILE_HELP)
@click.option("--quick", is_flag=True, help="leave the learning curve out")
@click.option("--json", "json_file", metavar="FILE", help=JSON_HELP)
@click.option("--report", type=click.Path(file_okay=False, path_type=Path), help="write an HTML page with plots here")
def evaluate(
    train: Path,
    valid: Path | None,
    test: Path,
    oos: Path | None,
    oos_share: float | None,
    alphas: tuple[float, ...],
    delta: float,
    profile: str,
    quick: bool,
    json_file: str | None,
    report: Path | None,
) -> None:
    """Train on labelled JSONL, test on other rows, and print what the model reaches and what could be certified."""
    from classifier import evaluation

    result = evaluation.evaluate(
        train=train,
        valid=valid,
        test=test,
        oos=oos,
        oos_share=oos_share,
        alphas=alphas or (0.05, 0.02, 0.01),
        delta=delta,
        profile=profile,
        quick=quick,
        progress=tell,
    )
    click.echo(evaluation.table(result), err=json_file == "-")
    write(json_file, result)
    if report:
        from classifier import report as html
        from classifier.formats import jsonl

        click.echo(f"report: {html.write(result, report, train=jsonl.read(train))}", err=True)


@cli.command()
@click.option("--customer", default="default", show_default=True)
@click.option("--profile", type=click.Choice(PROFILES), default="automatic", show_default=True, help=PROFILE_HELP)
@click.option("--json", "json_file", metavar="FILE", help=JSON_HELP)
def train(customer: str, profile: str, json_file: str | None) -> None:
    """Train a candidate from a customer's labels."""
    from triage import installation

    with installation.ready():
        from django.utils import timezone

        from triage import learning
        from triage.models import Customer

        whose = Customer.objects.get(slug=customer)
        release = learning.train(customer=whose, at=timezone.now(), profile=profile, progress=tell)
        plain, warning = release.measures["baseline"]["accuracy"], learning.below_baseline(release.measures)
        tell(f"{release.version}: accuracy {_share(release.accuracy)} on unseen rows, from {release.rows} rows")
        tell(f"TF-IDF with LinearSVC on the same rows: {_share(plain)}")
        tell(f"\n!!! WARNING. {warning}\n" if warning else f"Publish it: triage publish {release.version}")
        write(json_file, {"version": release.version, "accuracy": release.accuracy, "rows": release.rows,
                           "profile": profile, "baseline": plain, "warning": warning or None})  # fmt: skip


@cli.command()
@click.argument("version")
@click.option("--customer", default="default", show_default=True)
@click.option("--force", is_flag=True, help="publish even a model that is worse; the log says who did")
def publish(version: str, customer: str, force: bool) -> None:
    """Bring a candidate into force; a worse model is refused."""
    from triage import installation

    with installation.ready():
        from django.utils import timezone

        from triage import learning
        from triage.models import Release

        release = Release.objects.get(customer__slug=customer, version=version)
        learning.publish(release=release, actor=who(), at=timezone.now(), force=force)
        tell(f"{version} is in force")


@cli.command()
@click.option("--customer", default="default", show_default=True)
def rollback(customer: str) -> None:
    """Bring the release before this one back into force, with the certificates it earned."""
    from triage import installation

    with installation.ready():
        from django.utils import timezone

        from triage import learning
        from triage.models import Customer

        release = learning.rollback(customer=Customer.objects.get(slug=customer), actor=who(), at=timezone.now())
        tell(f"{release.version} is in force again")


@cli.command("sign-in")
@click.argument("name")
@click.option("--reset-second-factor", is_flag=True, help="for who has lost phone and recovery codes")
def sign_in(name: str, reset_second_factor: bool) -> None:
    """Print a one-time sign-in link for a person, good for 24 hours."""
    from triage import installation

    with installation.ready():
        from django.utils import timezone

        from triage import second_factor
        from triage.models import Person
        from triage.web.signin import make_sign_in_link

        person = Person.objects.filter(username=name, is_active=True).first()
        if person is None:
            raise click.BadParameter(f"nobody active is called {name!r}", param_hint="NAME")
        if reset_second_factor:
            second_factor.remove(person, actor=who(), at=timezone.now(), reason="reset on the command line")
        click.echo(environment().base_url + make_sign_in_link(person, at=timezone.now()))


@cli.command()
@click.option("--once", is_flag=True, help="one sweep instead of a loop")
def reconcile(once: bool) -> None:
    """Find what is stuck and ring for it; runs beside the workers."""
    from triage import installation

    installation.start_django()
    from triage import reconciler

    if once:
        found = reconciler.once()
        tell(f"{len(found.bells)} bells, {found.unknown} unknown, {found.handed_over} handed over")
    else:
        reconciler.run()


@cli.command()
@click.option("--after-failover", is_flag=True, help="hold the lake's record of started runs against the database")
@click.option("--despite-unmatched", is_flag=True, help="somebody has looked at what no ticket is here for")
@click.option("--json", "json_file", metavar="FILE", help=JSON_HELP)
def recover(after_failover: bool, despite_unmatched: bool, json_file: str | None) -> None:
    """Put database and lake in agreement after a restore or failover, and let automation start again."""
    if not after_failover:
        raise click.UsageError("say what to recover from: triage recover --after-failover")
    from triage import installation

    with installation.ready():
        from django.utils import timezone

        from triage import failover
        from triage.lake import here

        found = failover.recover(here.store(), at=timezone.now(), actor=who(), despite=despite_unmatched)
        tell(f"{found.claims} runs in the lake since the last tick; {found.known} of them are known here")
        tell(f"{len(found.settled)} were started and are not known to have ended: a person must settle each")
        for claim in found.unmatched:
            tell(f"no ticket {claim.external_id}: {claim.runbook} was started on {claim.target_object}; look at it")
        if found.unmatched:
            tell("tickets that only the lake knows come back by: triage replay --source SLUG --since ISO")
            tell("then recover again, or say --despite-unmatched when somebody has looked")
        for damaged in found.damaged:
            tell(damaged)
        tell("automation may start again" if found.automation_enabled else "automation stays off: see the overview")
        write(json_file, found.as_dict())
        if not found.automation_enabled:
            sys.exit(1)


def _share(value: float | None) -> str:
    return "unknown (too few rows to hold any out)" if value is None else f"{value:.4f}"


cli.add_command(runbook_cli.runbook)
cli.add_command(customers_cli.apply)
cli.add_command(customers_cli.offboard)
cli.add_command(pull_cli.pull)
cli.add_command(pull_cli.replay)
cli.add_command(pull_cli.import_history)


def main() -> NoReturn:
    """The entry point: errors that a person can mend are one line, others show where they came from."""
    signal.signal(signal.SIGPIPE, signal.SIG_DFL)
    try:
        environment()
        cli(prog_name="triage")
    except EnvironmentInvalid as error:
        click.echo(f"triage: {error}", err=True)
        sys.exit(2)
    except Exception as error:
        if not _mendable(error):
            raise
        click.echo(f"triage: {error}", err=True)
        sys.exit(1)
    sys.exit(0)


def _mendable(error: Exception) -> bool:
    """Errors of ours, whose message already says what was wrong and how to mend it."""
    module = type(error).__module__
    return module.startswith(("triage", "classifier", "runbooks")) and type(error) is not Exception
