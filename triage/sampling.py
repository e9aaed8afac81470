"""The draw at intake: which clusters are sealed as holdout, which are verified afterwards, whatever becomes of them.

A cluster is one storm key on one UTC day. Its draw follows from a keyed hash, so that every ticket of the cluster, on
whatever process and day of arrival within it, gets the same answer, and nobody outside can choose to be (un)drawn.
"""

import hashlib
import hmac
from dataclasses import dataclass
from datetime import UTC, datetime

from triage import keys
from triage.models import Customer, Draw


@dataclass(frozen=True)
class Drawn:
    """`cluster`: 64 hex digits; `probability`: with which a cluster gets this purpose, in 0..1."""

    cluster: str
    purpose: str
    probability: float


def draw(*, customer: Customer, storm_key: str, at: datetime) -> Drawn:
    """The cluster's purpose: holdout first, verify among the rest, each by a key of its own (step P1)."""
    unit = f"{storm_key}:{at.astimezone(UTC).date().isoformat()}"
    cluster = hashlib.sha256(unit.encode()).hexdigest()
    holdout, verify = customer.holdout_share, customer.verify_share
    if _uniform(customer, "holdout", unit) < holdout:
        return Drawn(cluster, Draw.Purpose.HOLDOUT, holdout)
    if _uniform(customer, "verify", unit) < verify:
        return Drawn(cluster, Draw.Purpose.VERIFY, (1.0 - holdout) * verify)
    return Drawn(cluster, Draw.Purpose.NONE, (1.0 - holdout) * (1.0 - verify))


def _uniform(customer: Customer, purpose: str, unit: str) -> float:
    """A number in [0, 1) with 53 random bits: 0 is below every share but 0, none is at or above 1."""
    key = keys.derive(f"draw:{customer.uuid}:{purpose}")
    digest = hmac.digest(key, unit.encode(), "sha256")
    return (int.from_bytes(digest[:8], "big") >> 11) / 2.0**53
