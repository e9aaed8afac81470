"""An owner's yes to what is theirs: asked of whoever approved or ordered a run on a group that has an owner."""

import sqlite3
from collections.abc import Iterable
from contextlib import closing

from runbooks import ownership
from runbooks.base import Runbook
from runbooks.targets import TargetError
from runbooks.targets.accounts import Directory
from triage.models import Approval, Person, Review, Run, Target
from triage.targets import directory


def lacking(runbook: Runbook, values: dict[str, str], *, target: Target | None, people: Iterable[Person]) -> str:
    """Whose yes is missing although these people said yes, as a sentence; empty where nobody's is.

    Reads the directory, and raises TargetError where it cannot be read.
    """
    if target is None or not any(parameter.kind == "group" for parameter in runbook.parameters):
        return ""
    try:
        client = directory(target)
        if client is None:
            return ""
        with closing(client):
            return unsaid(runbook, values, people=people, client=client)
    except (LookupError, ValueError, OSError, sqlite3.Error) as error:
        raise TargetError(f"{target.key} cannot be asked for the group's owner: {error}") from error


def unsaid(runbook: Runbook, values: dict[str, str], *, people: Iterable[Person], client: Directory | None) -> str:
    """The same, with a directory that is open already."""
    groups = ownership.owned(runbook, values, client)
    if not groups or client is None:
        return ""
    names = {name.strip() for person in people for name in (person.email, person.get_username())}
    return ownership.unsaid(groups, names - {""}, client)


def said_yes(approval: Approval) -> list[Person]:
    """Everybody who has approved so far, and whoever ordered the run."""
    orders = Review.objects.filter(ticket=approval.ticket_id, follow="run", undone_at__isnull=True)
    orders = orders.filter(text_hash=approval.decision.text_hash, person__isnull=False).select_related("person")
    people = [approval.first_person, approval.second_person, *(order.person for order in orders)]
    return [person for person in people if person is not None]


def lacking_for(run: Run, runbook: Runbook) -> str:
    """The same of a run that is about to start, for the people behind it."""
    asked = Approval.objects.filter(decision=run.decision_id).select_related(
        "first_person", "second_person", "decision"
    )
    people = [person for approval in asked for person in said_yes(approval)]
    people += [run.ordered_by] if run.ordered_by else []
    return lacking(runbook, run.parameters, target=run.target, people=people)
