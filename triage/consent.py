"""An owner's yes to what is theirs: asked of whoever approved or ordered a run on a group that has an owner."""

import sqlite3
from collections.abc import Iterable
from contextlib import closing

from runbooks import ownership
from runbooks.base import Runbook
from runbooks.targets import TargetError
from runbooks.targets.accounts import Directory
from triage.models import Approval, AuditEvent, Person, Review, Run, Target
from triage.targets import directory

TOUCHED = ("added", "changed", "sign-in link made")
"""Events after which somebody else than its owner may hold an account."""

PROVED = ("OpenID account linked", "address confirmed")
UNPROVED = (
    "An account here bears an owner's name or mail address that nobody has verified; one of the provider's "
    "administrators can confirm the address on the person's page."
)


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
    asked = list(people)
    lacking = ownership.unsaid(groups, {name for person in asked for name in proofs(person)}, client)
    told = {name for person in asked for name in _told(person)} if lacking else set()
    if not lacking or not told or ownership.unsaid(groups, told, client) == lacking:
        return lacking
    return f"{lacking} {UNPROVED}"


def proofs(person: Person) -> set[str]:
    """The mail address and the user name, as far as either proves at a directory who the person is.

    The address: where nobody but the provider's administrators entered it, or an OpenID provider has verified it or
    one of them has confirmed it since. The user name: where the provider's administrators made the account here, and
    nobody else ever held it.
    """
    events = list(
        AuditEvent.objects.filter(subject="person", subject_id=person.pk, event__in=[*TOUCHED, *PROVED])
        .order_by("pk")
        .values_list("event", "actor", "reason")
    )
    provider = {f"person:{pk}" for pk in Person.objects.filter(is_superuser=True).values_list("pk", flat=True)}
    good = whole = True
    for event, actor, reason in events:
        if event in PROVED:
            good = True
        elif actor.startswith("person:") and actor not in provider and (event != "changed" or "email" in reason):
            good = whole = False
        elif event == "added" and actor == "system:openid":
            whole = False  # the name is what the account at the OpenID provider said of itself
    told = ([person.email] if good else []) + ([person.get_username()] if whole else [])
    return {name.strip() for name in told} - {""}


def _told(person: Person) -> set[str]:
    return {name.strip() for name in (person.email, person.get_username())} - {""}


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
