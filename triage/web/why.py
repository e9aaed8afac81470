"""What the ticket page fetches once it is there: why this article and not that one, and tickets that read alike."""

from uuid import UUID

from django.http import HttpResponse
from django.views.decorators.http import require_GET

from triage.models import Prediction, Ticket
from triage.queries import blind
from triage.queries import why as reasons
from triage.queries.queue import language_of
from triage.queries.similar import similar
from triage.queries.ticket import parameters_of, prediction_of
from triage.web.page import DeskRequest, now, part, signed_in
from triage.web.tickets import BODY_SHOWN, BODY_WHOLE, found

SUBJECT_SHOWN = 300
SEALED = "This ticket was drawn for a blind check: what Triage makes of its words is shown after the verdict."
NOTHING = "Triage has no suggestion for this text."


@require_GET
@signed_in
def why(request: DeskRequest, uuid: UUID) -> HttpResponse:
    """The sentence, and the ticket's text anew with the words that decided marked; of a sealed ticket nothing."""
    row = found(request, uuid)
    prediction, trouble = _seen(request, row)
    if prediction is None:
        return part(request, "triage/ticket_why.html", {"ticket": row, "trouble": trouble})
    try:
        told = reasons.why(row, prediction, against=request.GET.get("against", ""))
    except reasons.NotNow as error:
        return part(request, "triage/ticket_why.html", {"ticket": row, "trouble": str(error)})
    spans, values = told.explanation.spans, parameters_of(row).values()
    subject, body = row.subject, row.body
    context = {
        "ticket": row,
        "why": told,
        "prediction": prediction,
        "language": language_of(row, prediction),
        "subject": reasons.highlighted(subject[:SUBJECT_SHOWN], part="subject", spans=spans, values=()),
        "subject_cut": len(subject) > SUBJECT_SHOWN,
        "body": reasons.highlighted(body[:BODY_SHOWN], part="body", spans=spans, values=values),
        "rest": reasons.highlighted(
            body[BODY_SHOWN:BODY_WHOLE], part="body", spans=spans, values=values, start=BODY_SHOWN
        ),
    }
    return part(request, "triage/ticket_why.html", context)


@require_GET
@signed_in
def alike(request: DeskRequest, uuid: UUID) -> HttpResponse:
    """Resolved tickets that read like this one; of a sealed ticket nothing."""
    row = found(request, uuid)
    prediction, trouble = _seen(request, row)
    if prediction is None:
        return part(request, "triage/ticket_similar.html", {"trouble": trouble})
    try:
        model, _ = reasons.model_of(prediction)
    except reasons.NotNow as error:
        return part(request, "triage/ticket_similar.html", {"trouble": str(error)})
    rows = similar(row, prediction, model=model, person=request.user, at=now())
    return part(request, "triage/ticket_similar.html", {"similar": rows})


def _seen(request: DeskRequest, row: Ticket) -> tuple[Prediction | None, str]:
    """The prediction in force where the person may see it, else why not, in a sentence."""
    if blind.sealed_for(row, person=request.user, at=now()):
        return None, SEALED
    prediction = prediction_of(row)
    return (prediction, "") if prediction and prediction.matches else (None, NOTHING)
