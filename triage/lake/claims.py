"""What the lake keeps of each run, so that a database restored or failed over to an older state starts nothing twice.

Two objects a run, each written once by whoever comes first: the claim, before the run is committed as started, and the
start, when its pre-check has said yes and just before its action. Neither is ever changed or deleted.
"""

import json
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from datetime import datetime

from triage.lake import layout
from triage.lake.errors import AlreadyThere, Damaged, NotThere
from triage.lake.store import ObjectStore


@dataclass(frozen=True, kw_only=True)
class Claim:
    """One run as the lake knows it: enough to find its ticket, and to tell a person what was started on what."""

    run: str
    source: str
    external_id: str
    runbook: str
    occasion: int
    target: str
    target_object: str

    @property
    def key(self) -> str:
        """Where it lies: two runs of one (ticket, runbook, occasion) meet there."""
        return layout.claim_key(self.source, self.external_id, self.runbook, self.occasion)


def take(store: ObjectStore, claim: Claim) -> bool:
    """Claim the run; False where another run of this ticket, runbook and occasion has it. Raises LakeError."""
    try:
        store.put(claim.key, json.dumps(asdict(claim)).encode(), if_absent=True)
    except AlreadyThere:
        return read(store, claim.key).run == claim.run
    return True


def start(store: ObjectStore, claim: Claim) -> bool:
    """Say that the action starts now; False where that was said before, by whichever life of the database."""
    try:
        store.put(layout.start_key(claim.key), claim.run.encode(), if_absent=True)
    except AlreadyThere:
        return False
    return True


def read(store: ObjectStore, key: str) -> Claim:
    """The claim under a key; NotThere, Damaged."""
    try:
        return Claim(**json.loads(store.get(key)))
    except (ValueError, TypeError) as error:
        raise Damaged(f"{key}: this is no claim ({error}); look at the run that it stands for") from error


def started(store: ObjectStore, claim: Claim) -> bool:
    """Whether the claim's action was ever allowed to start."""
    try:
        store.head(layout.start_key(claim.key))
    except NotThere:
        return False
    return True


def keys_since(store: ObjectStore, at: datetime) -> Iterator[str]:
    """The keys of all claims that were made at or after this moment, by the lake's clock."""
    return store.list(layout.CLAIMS, changed_since=at)
