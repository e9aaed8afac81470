"""Certificates from history: past tickets that people resolved, unseen by training, and opened once.

The order is what makes the promise: scores without labels choose the thresholds, the attempt is registered and paid
for, and only then are labels compared.
"""

import hashlib
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from django.db import transaction
from django.db.models import F

from classifier import certificate as certificates
from classifier.bounds import NotCertifiable, monthly_delta
from classifier.certificate import Gate, Verdict
from classifier.text import Document, text_hash
from runbooks.base import Runbook
from runbooks.registry import RUNBOOKS
from triage import lifecycle, routing, serving, versions
from triage.lake.errors import LakeError
from triage.learning import seen, suspected
from triage.learning.labelled import key_of
from triage.models import Budget, Certificate, Customer, Registration, Release
from triage.routing import Pick
from triage.serving import NoModel, Serving

ACTOR = "system:learning"
VALID_FOR = timedelta(days=90)
BASIS = "history"
ROUNDING = 1e-12


class NotCertified(Exception):
    """No certificate; the message says why and what is needed. `needed`: clusters, where a number can be named."""

    def __init__(self, reason: str, *, needed: int | None = None) -> None:
        super().__init__(reason)
        self.needed = needed


@dataclass(frozen=True, kw_only=True)
class HistoryRow:
    """A past ticket and what people found: its article's label (None: none fits) and the right parameters, if known.

    `cluster` names what counts as one observation: equal alerts of one day. `at` is when it was resolved.
    """

    document: Document
    label: str | None
    cluster: str
    parameters: Mapping[str, str] | None
    requester: str
    fields: Mapping[str, str]
    at: datetime


def certify(
    *,
    customer: Customer,
    release: Release,
    runbooks: Sequence[str],
    alpha: float,
    history: Sequence[HistoryRow],
    at: datetime,
) -> Certificate:
    """One attempt to certify a pool of runbooks with this release at `alpha`, charged whether it succeeds or not.

    Raises NotCertified with the reason; before the registration nothing is charged and no label was looked at.
    """
    if release.customer_id != customer.pk:
        raise NotCertified(f"Release {release.version} belongs to another customer.")
    pool = _pool(runbooks)
    try:
        model = serving.load(release)
        known = seen.read(release)
    except (NoModel, LakeError) as error:
        raise NotCertified(f"The model cannot be opened: {error}") from error
    rows = _fresh(history, release=release, known=known)
    gate, picks = _picked(model, rows, pool)
    scores = [pick.gate_score(runbooks) for pick in picks]
    clusters = [row.cluster for row in rows]
    try:
        plan = certificates.plan(
            scores,
            gate=gate.hash,
            runbooks=sorted(pool),
            alpha=alpha,
            delta=monthly_delta(yearly=customer.yearly_delta),
            clusters=clusters,
            basis=BASIS,
        )
    except (NotCertifiable, ValueError) as error:
        raise NotCertified(_no_plan(error, picks), needed=getattr(error, "needed", None)) from error
    registration = _register(plan, release=release, gate=gate, rows=rows, at=at)
    wrong = [_wrong(row, pick) for row, pick in zip(rows, picks, strict=True)]
    verdict = certificates.one_look(plan, scores=scores, wrong=wrong, clusters=clusters)
    return _record(registration, verdict, pool=pool, rows=rows, at=at)


def _pool(runbooks: Sequence[str]) -> dict[str, Runbook]:
    if unknown := sorted(set(runbooks) - set(RUNBOOKS)):
        raise NotCertified(f"There is no runbook {', '.join(unknown)}; there is {', '.join(RUNBOOKS)}.")
    if not runbooks:
        raise NotCertified("Name at least one runbook to certify.")
    return {key: RUNBOOKS[key] for key in runbooks}


def _fresh(history: Sequence[HistoryRow], *, release: Release, known: frozenset[str]) -> list[HistoryRow]:
    """The rows whose text no training saw and that no earlier attempt or noise review opened, in order of time.

    Labels of the lake's table have a time, so that after training on them only newer rows count.
    """
    plans = Registration.objects.of(release.customer).values_list("plan", flat=True)
    spent = {key for plan in plans for key in plan.get("opened", ())}
    known |= suspected.spent(release.customer)
    after = release.trained_until if release.measures.get("labels_table_version") is not None else None
    fresh = [
        row
        for row in history
        if key_of(row.document) not in known and _row_key(row) not in spent and (after is None or row.at > after)
    ]
    return sorted(fresh, key=lambda row: (row.at, _row_key(row)))


def _row_key(row: HistoryRow) -> str:
    told = f"{text_hash(row.document)}\n{row.cluster}\n{row.at.isoformat()}"
    return hashlib.sha256(told.encode()).hexdigest()[:16]


def _picked(model: Serving, rows: Sequence[HistoryRow], pool: Mapping[str, Runbook]) -> tuple[Gate, list[Pick]]:
    """What the gate makes of each row, by the code that serves tickets; no label is looked at."""
    rankings = model.classifier.rank([row.document for row in rows]) if rows else []
    with serving.offered(model.release.customer) as articles:
        gate = serving.gate(model, pool=pool.values(), articles=articles)
        picks = [
            routing.selected(
                ranking=ranking,
                articles=articles,
                document=row.document,
                requester=row.requester,
                fields=row.fields,
            )
            for row, ranking in zip(rows, rankings, strict=True)
        ]
    return gate, picks


def _no_plan(error: Exception, picks: Sequence[Pick]) -> str:
    """Why there is no registration, with what kept most rows from running."""
    counts = Counter(pick.problems[0].split(": ")[0] for pick in picks if pick.problems)
    most = "".join(
        f" What kept most of the others from running: {what} ({n} times)." for what, n in counts.most_common(1)
    )
    return f"Of {len(picks)} past tickets that are new to the model: {error}.{most}"


def _wrong(row: HistoryRow, pick: Pick) -> bool:
    """Whether the people who resolved it would not have run this runbook with these parameters."""
    if row.label != pick.article:
        return True
    return row.parameters is not None and dict(row.parameters) != dict(pick.parameters)


def _register(
    plan: certificates.Registration, *, release: Release, gate: Gate, rows: Sequence[HistoryRow], at: datetime
) -> Registration:
    """Charge the budget and fix the attempt, both or neither; NotCertified where the year's budget is spent."""
    with transaction.atomic():
        _charge(release.customer, plan.delta, at=at)
        registration = Registration.objects.create(
            customer=release.customer,
            release=release,
            gate=plan.gate,
            gate_parts=gate.as_dict(),
            runbooks=list(plan.runbooks),
            alpha=plan.alpha,
            delta=plan.delta,
            plan={**plan.as_dict(), "opened": [_row_key(row) for row in rows]},
            basis=plan.basis,
            registered_at=at,
        )
        lifecycle.record(
            row=registration, event="registered", at=at, actor=ACTOR, reason=f"delta {plan.delta:g} was charged"
        )
    return registration


def _charge(customer: Customer, delta: float, *, at: datetime) -> None:
    Budget.objects.get_or_create(customer=customer, year=at.year, defaults={"limit": customer.yearly_delta})
    budget = Budget.objects.of(customer).filter(year=at.year)
    if not budget.filter(spent__lte=F("limit") - delta + ROUNDING).update(spent=F("spent") + delta):
        spent = budget.get()
        raise NotCertified(
            f"An attempt costs delta {delta:g}, but only {spent.limit - spent.spent:g} of this year's {spent.limit:g} "
            "is left. Until next year a person approves each run."
        )


def _record(
    registration: Registration,
    verdict: Verdict,
    *,
    pool: Mapping[str, Runbook],
    rows: Sequence[HistoryRow],
    at: datetime,
) -> Certificate:
    """Keep the verdict, and the certificate where there is one."""
    with transaction.atomic():
        Registration.objects.filter(pk=registration.pk).update(opened_at=at, verdict=verdict.as_dict())
        registration.refresh_from_db()
        if not verdict.certified or verdict.threshold is None:
            lifecycle.record(row=registration, event="refused", at=at, actor=ACTOR, reason=verdict.sentence)
            made = None
        else:
            made = _issued(registration, verdict, verdict.threshold, pool=pool, rows=rows, at=at)
            lifecycle.record(row=made, event="issued", at=at, actor=ACTOR, reason=verdict.sentence)
    if made is None:
        raise NotCertified(verdict.sentence)
    return made


def _issued(
    registration: Registration,
    verdict: Verdict,
    threshold: float,
    *,
    pool: Mapping[str, Runbook],
    rows: Sequence[HistoryRow],
    at: datetime,
) -> Certificate:
    """The certificate's row: of the registered attempt, for the actions that the pool's runbooks have now."""
    return Certificate.objects.create(
        customer=registration.customer,
        registration=registration,
        release=registration.release,
        gate=registration.gate,
        runbooks=registration.runbooks,
        alpha=registration.alpha,
        delta=registration.delta,
        threshold=threshold,
        n=verdict.n,
        errors=verdict.errors,
        upper_bound=verdict.upper_bound,
        basis=registration.basis,
        sentence=verdict.sentence,
        breaks=list(verdict.breaks),
        action_digests={key: versions.digest(registration.customer, runbook) for key, runbook in pool.items()},
        window_from=rows[0].at,
        window_until=rows[-1].at,
        issued_at=at,
        expires_at=at + VALID_FOR,
    )
