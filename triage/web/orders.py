"""Confirming a run: exactly what would be done to what, before the person says yes."""

from uuid import UUID

from django.core.exceptions import PermissionDenied
from django.http import HttpResponse
from django.views.decorators.http import require_POST

from runbooks.base import Parameter, Runbook
from runbooks.parameters import Extraction, extract
from runbooks.rules import names_of
from runbooks.targets.accounts import Directory
from runbooks.targets.lists import Lists
from triage.models import Decision, Ticket
from triage.permissions import check_can_order_run
from triage.queries import articles, blind
from triage.review import ReviewRefused
from triage.review.ordering import PEOPLE_NEEDED, obstacle, opened, waits_for
from triage.targets import lists_of, target_for
from triage.web.page import DeskRequest, now, part, show, signed_in
from triage.web.queue import filters_of
from triage.web.tickets import found

MOST_LISTED = 200
"""Names of an allow-list that a person chooses from; of a longer one the name is typed."""


@require_POST
@signed_in
def confirm(request: DeskRequest, uuid: UUID) -> HttpResponse:
    """What the chosen article's runbook would do; POST since it carries a draft; nothing changes."""
    row, at = found(request, uuid), now()
    label = request.POST.get("article", "")
    shown = articles.best(row.customer, label)
    runbook = shown.runbook if shown else None
    context: dict[str, object] = {
        "ticket": row,
        "article": shown.article if shown else None,
        "runbook": runbook,
        "filters": filters_of(request),
        "also": request.POST.getlist("also"),
    }
    if runbook is None:
        context["in_the_way"] = "This article has no runbook." if shown else "Choose an article first."
    else:
        sealed = blind.sealed_for(row, person=request.user, at=at)
        in_the_way, proposed, lists = _in_the_way(request, row, runbook), Extraction(), None
        target = target_for(row.customer, runbook) if row.customer else None
        try:
            with opened(target) as client:
                lists = lists_of(target) if target else None
                proposed = Extraction() if sealed else _proposed(row, runbook, client, lists)
        except ReviewRefused as error:
            in_the_way = str(error)
        fields = _fields(runbook, proposed, lists)
        context |= {
            "sealed": sealed,
            "parameters": fields,
            "complete": not any(field["first_empty"] for field in fields),
            "target": target,
            "people": PEOPLE_NEEDED[runbook.tier],
            "in_the_way": in_the_way,
            "waits": waits_for(ticket=row, runbook=runbook, at=at),
            "answer_only": row.status != Ticket.Status.NEEDS_REVIEW,
        }
    if request.htmx:
        return part(request, "triage/run_confirm.html", context)
    return show(request, "triage/run_confirm_page.html", context)


def _in_the_way(request: DeskRequest, row: Ticket, runbook: Runbook) -> str | None:
    try:
        check_can_order_run(request.user, row)
    except PermissionDenied as refused:
        return str(refused)
    return obstacle(ticket=row, runbook=runbook, at=now())


def _proposed(row: Ticket, runbook: Runbook, client: Directory | None, lists: Lists | None) -> Extraction:
    """What the standing decision found, else what is found in the ticket now."""
    decision = Decision.objects.filter(ticket=row, text_hash=row.text_hash, in_force=True, runbook=runbook.key).first()
    if decision and decision.parameters:
        return Extraction({name: str(value) for name, value in decision.parameters.items()})
    return extract(
        runbook,
        subject=row.subject,
        body=row.body,
        requester=row.requester,
        fields=row.fields,
        directory=client,
        lists=lists,
        machine=row.actor == Ticket.Actor.MACHINE,
        reference=row.external_id,
        written_at=row.created_at,
    )


def _fields(runbook: Runbook, proposed: Extraction, lists: Lists | None) -> list[dict[str, object]]:
    """One form field for each parameter; where one could not be found, why, and what it could have been."""
    problems = dict(problem.split(": ", 1) for problem in proposed.problems if ": " in problem)
    empty = [each.name for each in runbook.parameters if each.required and not proposed.values.get(each.name)]
    return [
        {
            "parameter": parameter,
            "name": f"p-{parameter.name}",
            "problem": problems.get(parameter.name, ""),
            "first_empty": parameter.name in empty[:1],
            **_offered(parameter, proposed, lists),
        }
        for parameter in runbook.parameters
    ]


def _offered(parameter: Parameter, proposed: Extraction, lists: Lists | None) -> dict[str, object]:
    """What a person may choose from: first what the ticket may mean, then the rest of the allow-list.

    Nothing is chosen beforehand but what was found: the first of a list would be taken by an absent mind.
    """
    names = tuple(names_of(parameter, lists) or ())
    whole = 0 < len(names) <= MOST_LISTED
    found = proposed.values.get(parameter.name, "")
    candidates = [name for name in proposed.candidates.get(parameter.name, ()) if not whole or name in names]
    return {
        "value": found if not whole or found in names else "",
        "candidates": candidates,
        "others": [name for name in names if name not in candidates] if whole else [],
        "whole": whole,
    }
