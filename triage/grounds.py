"""Why a run must not start now, although it was decided: everything is looked at again just before it starts."""

from datetime import datetime

from runbooks.base import Runbook
from runbooks.registry import RUNBOOKS
from triage import approvals, automation, itsm, links
from triage.models import Approval, Certificate, Customer, Decision, Draw, Mode, Release, Run, Ticket
from triage.queries import articles
from triage.serving import strict_enough


def gone(run: Run, *, at: datetime) -> str | None:
    """Look again at everything here that may have changed since the decision; why the run must not start, or None."""
    ticket, decision = run.ticket, run.decision
    if ticket.status != Ticket.Status.QUEUED:
        return "The ticket has moved on since this run was requested."
    if ticket.text_hash != run.text_hash:
        return "The ticket's text has changed since this run was decided."
    if decision is None or not decision.in_force:
        return "The decision has expired or another one took its place."
    runbook = RUNBOOKS[run.runbook]
    forbidden = automation.forbidden(run, runbook) or links.trouble(runbook)
    if run.ordered_by_id:
        return forbidden or _word_gone(run, at=at)
    if decision.expires_at is None or decision.expires_at < at:
        return "The decision has expired."
    if not Customer.objects.filter(pk=run.customer_id, mode=Mode.AUTOMATE).exists():
        return "The customer no longer allows runs without a person."
    if Draw.objects.filter(ticket=ticket, purpose=Draw.Purpose.HOLDOUT).exists():
        return "The ticket was drawn for a person to answer first."
    return forbidden or _unled(decision, run) or _uncertified(decision.certificate, run, at=at)


def _unled(decision: Decision, run: Run) -> str | None:
    """Without its article nobody would have decided so; one that leads elsewhere by now was decided for that."""
    pair = (run.customer_id, decision.article)
    shown = articles.by_label([pair]).get(pair)
    if shown is None:
        return None  # articles are retired, never deleted: a label without any was no article's
    if shown.article.retired_at is not None:
        return "The article was retired since this run was decided."
    led = shown.runbook is not None and shown.runbook.key == run.runbook
    return None if led else "The article leads to another runbook, or to none, since this run was decided."


def _uncertified(certificate: Certificate | None, run: Run, *, at: datetime) -> str | None:
    if certificate is None or certificate.revoked_at or certificate.expires_at < at:
        return "The certificate is no longer valid."
    if run.runbook not in certificate.runbooks:
        return "The certificate does not cover this runbook."
    bounds = Customer.objects.values_list("alpha_by_tier", flat=True).get(pk=run.customer_id)
    if not strict_enough(certificate, run.runbook, bounds):
        return "The customer asks for a stricter certificate by now than the one that it was decided on."
    in_force = Release.objects.filter(pk=certificate.release_id, status=Release.Status.IN_FORCE)
    return None if in_force.exists() else "Another model is in force than the one that the certificate is for."


def _word_gone(run: Run, *, at: datetime) -> str | None:
    """A person's order or approval is good for half an hour, and an approval for exactly what was approved."""
    if automation.good_since(run) + approvals.GRANTED_FOR < at:
        return "The run could not start within half an hour of a person's word."
    asked = Approval.objects.filter(decision=run.decision_id).order_by("-pk").first()
    if asked is None:
        return None  # ordered, and in no need of another person
    if asked.status != Approval.Status.GRANTED:
        return "The approval no longer stands."
    return approvals.still_bound(asked, at=min(at, asked.expires_at))  # its time was looked at above, with the window


def itsm_says_no(run: Run, runbook: Runbook) -> str | None:
    """Ask the ITSM itself where it can be asked; without that and a person's word only the low tier runs."""
    ticket = run.ticket
    seen = itsm.SOURCES[ticket.source.kind].read(ticket.source, ticket.external_id)
    if seen is None:
        may = runbook.tier == "low" or run.ordered_by_id
        return None if may else "This source cannot be asked again, so only low-risk runbooks run."
    if seen.closed:
        return "The ticket was closed or taken elsewhere in the ITSM meanwhile."
    if seen.text_hash != ticket.text_hash:
        return "The ticket's text has changed in the ITSM meanwhile."
    now, then = seen.incoming.status.strip(), ticket.itsm_status.strip()
    if now and then and now.casefold() != then.casefold():
        return f"The ticket's status has changed in the ITSM meanwhile, from {then} to {now}."
    return None
