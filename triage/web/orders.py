"""Confirming a run: exactly what would be done to what, before the person says yes."""

from uuid import UUID

from django.core.exceptions import PermissionDenied
from django.http import HttpResponse
from django.views.decorators.http import require_POST

from runbooks.base import Runbook
from runbooks.parameters import Extraction, extract
from triage.models import Decision, Ticket
from triage.permissions import check_can_order_run
from triage.queries import articles, blind
from triage.review import ReviewRefused
from triage.review.ordering import PEOPLE_NEEDED, obstacle, opened
from triage.targets import target_for
from triage.web.page import DeskRequest, now, part, show, signed_in
from triage.web.queue import filters_of
from triage.web.tickets import found


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
        in_the_way, proposed = _in_the_way(request, row, runbook), Extraction()
        try:
            proposed = Extraction() if sealed else _proposed(row, runbook)
        except ReviewRefused as error:
            in_the_way = str(error)
        fields = _fields(runbook, proposed)
        context |= {
            "sealed": sealed,
            "parameters": fields,
            "complete": not any(field["first_empty"] for field in fields),
            "target": target_for(row.customer, runbook) if row.customer else None,
            "people": PEOPLE_NEEDED[runbook.tier],
            "in_the_way": in_the_way,
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


def _proposed(row: Ticket, runbook: Runbook) -> Extraction:
    """What the standing decision found, else what is found in the ticket now."""
    decision = Decision.objects.filter(ticket=row, text_hash=row.text_hash, in_force=True, runbook=runbook.key).first()
    if decision and decision.parameters:
        return Extraction({name: str(value) for name, value in decision.parameters.items()})
    with opened(target_for(row.customer, runbook) if row.customer else None) as client:
        return extract(
            runbook,
            subject=row.subject,
            body=row.body,
            requester=row.requester,
            fields=row.fields,
            directory=client,
            machine=row.actor == Ticket.Actor.MACHINE,
        )


def _fields(runbook: Runbook, proposed: Extraction) -> list[dict[str, object]]:
    """One form field for each parameter; where one could not be found, why, and what it could have been."""
    problems = dict(problem.split(": ", 1) for problem in proposed.problems if ": " in problem)
    empty = [each.name for each in runbook.parameters if each.required and not proposed.values.get(each.name)]
    return [
        {
            "parameter": parameter,
            "name": f"p-{parameter.name}",
            "value": proposed.values.get(parameter.name, ""),
            "problem": problems.get(parameter.name, ""),
            "candidates": proposed.candidates.get(parameter.name, ()),
            "first_empty": parameter.name in empty[:1],
        }
        for parameter in runbook.parameters
    ]
