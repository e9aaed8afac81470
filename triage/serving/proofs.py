"""The customer's certificates as routing needs them: each beside the hash that its gate would have today."""

import hashlib
import json
from collections.abc import Iterable, Mapping
from dataclasses import asdict
from datetime import datetime, timedelta
from functools import cache
from pathlib import Path

import classifier
from classifier.certificate import Gate
from runbooks.base import Runbook
from runbooks.registry import RUNBOOKS
from triage import routing, versions
from triage.models import Certificate, Customer, Mode, Run
from triage.routing import Offer, Proof
from triage.serving.releases import Serving

VERIFIED_RUNS = 20
"""After a changed action, as many runs that a person confirmed must succeed before it runs by itself again."""

LOOKED_AT = timedelta(days=180)
"""Certificates issued longer ago are not looked at, not even to say that they have expired."""


def gate(serving: Serving, *, pool: Iterable[Runbook], articles: Mapping[str, Offer]) -> Gate:
    """Today's gate of this model over a pool of runbooks: the same when certifying and when deciding."""
    model = serving.classifier
    return routing.gate(
        text=_digest(model.pipeline_.as_dict(), "text"),
        model=serving.digest,
        calibrator=_digest(asdict(model.weights_), "calibration", "combination", "estimator"),
        evidence=_digest(model.rule_.as_dict(), "evidence"),
        labels=[str(label) for label in model.classes_],
        articles=articles,
        runbooks=pool,
    )


def _digest(learnt: object, *modules: str) -> str:
    """sha256 (hex) of what was learnt and of the rules' own source, so that no change of a rule can be forgotten."""
    told = json.dumps([learnt, *(_source(module) for module in modules)], sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(told.encode()).hexdigest()


@cache
def _source(module: str) -> str:
    folder = Path(classifier.__file__ or "").parent
    return (folder / f"{module}.py").read_text(encoding="utf-8").replace("\r\n", "\n")


def proofs(serving: Serving, *, articles: Mapping[str, Offer], at: datetime) -> tuple[Proof, ...]:
    """The customer's certificates of the last months; those that no longer hold too, so that the reason can say so."""
    customer = serving.release.customer
    # the model stays loaded for long, and its customer with it: what may be changed meanwhile is looked up
    bounds = Customer.objects.values_list("alpha_by_tier", flat=True).get(pk=customer.pk)
    rows = Certificate.objects.of(customer).filter(issued_at__gt=at - LOOKED_AT)
    hashes: dict[tuple[str, ...], str] = {}
    found = []
    for row in rows:
        keys = tuple(sorted(row.runbooks))
        if keys not in hashes:
            known = all(key in RUNBOOKS for key in keys)
            pool = [RUNBOOKS[key] for key in keys] if known else []
            hashes[keys] = gate(serving, pool=pool, articles=articles).hash if known else ""
        found.append(_proof(row, hashes[keys], customer=customer, bounds=bounds))
    return tuple(found)


def _proof(row: Certificate, gate_now: str, *, customer: Customer, bounds: Mapping[str, float]) -> Proof:
    return Proof(
        id=row.pk,
        gate=row.gate,
        gate_now=gate_now,
        runbooks=frozenset(key for key in row.runbooks if strict_enough(row, key, bounds)),
        threshold=row.threshold,
        expires_at=row.expires_at,
        revoked=row.revoked_at is not None,
        proven=frozenset(key for key in row.runbooks if key in RUNBOOKS and _proven(row, RUNBOOKS[key], customer)),
    )


def strict_enough(row: Certificate, key: str, bounds: Mapping[str, float]) -> bool:
    """Whether the certificate promises what the customer asks for runbooks of this one's tier."""
    tier = RUNBOOKS[key].tier if key in RUNBOOKS else ""
    return row.alpha <= bounds.get(tier, 1.0) + 1e-12


def _proven(row: Certificate, runbook: Runbook, customer: Customer) -> bool:
    """Whether the action is the one that the certificate was issued with, or has been confirmed often enough since."""
    digest = versions.digest(customer, runbook)
    if row.action_digests.get(runbook.key) == digest:
        return True
    confirmed = Run.objects.of(customer).filter(
        runbook=runbook.key,
        action_digest=digest,
        status=Run.Status.SUCCEEDED,
        decision__mode=Mode.APPROVE,
    )
    return confirmed.count() >= VERIFIED_RUNS
