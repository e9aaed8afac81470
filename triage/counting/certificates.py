"""Ended runs of each certificate, and what blind verdicts say of those that were drawn for verification."""

from django.db.models import Count, F, QuerySet

from triage.models import Certificate, CertificateCount, Draw, Review, Run


def runs_and_verdicts() -> None:
    """Count both for every certificate."""
    ended = [Run.Status.SUCCEEDED, Run.Status.FAILED, Run.Status.UNDONE, Run.Status.UNDO_FAILED]
    runs = Run.objects.filter(decision__certificate__isnull=False, decision__mode="automate", status__in=ended)
    totals = dict(runs.order_by().values_list("decision__certificate").annotate(n=Count("pk")))
    checked: dict[int, dict[str, set[bool | None]]] = {}  # by cluster: storms of one cause are one observation
    drawn = runs.filter(ticket__draw__purpose=Draw.Purpose.VERIFY).select_related("decision", "ticket__draw")
    said, of_clusters = _blind_verdicts(drawn), _of_clusters(drawn)
    for run in drawn.iterator(chunk_size=2000):
        if run.decision is not None and run.decision.certificate_id is not None:
            draw = run.ticket.draw
            unit = (draw.customer_id, draw.cluster, run.ticket.storm_key)
            review = said.get((run.ticket_id, run.text_hash)) or of_clusters.get(unit)
            units = checked.setdefault(run.decision.certificate_id, {})
            units.setdefault(draw.cluster, set()).add(_contradicted(run, review) if review else None)
    found = []
    for certificate in Certificate.objects.values_list("pk", flat=True):
        verdicts_of = list(checked.get(certificate, {}).values())
        found.append(
            CertificateCount(
                certificate_id=certificate,
                runs=totals.get(certificate, 0),
                verified=sum(verdicts != {None} for verdicts in verdicts_of),
                wrong=sum(True in verdicts for verdicts in verdicts_of),
                missing=sum(verdicts == {None} for verdicts in verdicts_of),
            )
        )
    CertificateCount.objects.bulk_create(
        found,
        update_conflicts=True,
        unique_fields=["certificate"],
        update_fields=["runs", "verified", "wrong", "missing"],
    )


def _blind_verdicts(runs: QuerySet[Run]) -> dict[tuple[int, str], Review]:
    """The standing blind verdict on each run's text, the newest of several."""
    rows = Review.objects.filter(ticket__in=runs.values("ticket"), blind=True, undone_at__isnull=True).order_by("pk")
    return {(row.ticket_id, row.text_hash): row for row in rows.iterator(chunk_size=2000)}


def _of_clusters(runs: QuerySet[Run]) -> dict[tuple[int | None, str, str], Review]:
    """The first standing blind verdict on any ticket of each run's cluster: after it nobody is asked again."""
    rows = Review.objects.filter(
        blind=True,
        undone_at__isnull=True,
        text_hash=F("ticket__text_hash"),
        ticket__draw__cluster__in=runs.values("ticket__draw__cluster"),
    )
    found: dict[tuple[int | None, str, str], Review] = {}
    for row in rows.select_related("ticket__draw").order_by("pk").iterator(chunk_size=2000):
        draw = row.ticket.draw
        found.setdefault((draw.customer_id, draw.cluster, row.ticket.storm_key), row)
    return found


def _contradicted(run: Run, review: Review) -> bool:
    """Whether a blind verdict would not have run this runbook with these parameters on this ticket."""
    article = run.decision.article if run.decision else ""
    if review.verdict != Review.Verdict.ARTICLE or article not in (review.article, *review.also_acceptable):
        return True
    return any(run.parameters.get(name) != value for name, value in review.parameters.items())
