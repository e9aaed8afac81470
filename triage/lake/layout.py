"""Where each thing lies in the lake's bucket: the one place that builds keys."""

import hashlib
import json
import re
from datetime import UTC, datetime, timedelta

import uuid_utils

SHARED = "_shared"  # deliveries that no customer could be named for
RAW = "raw/"
INBOX = "inbox/"
CLAIMS = "runs/claims/"
STARTS = "runs/starts/"
TICK = "runs/tick"
MODELS = "models/"
TABLES = "tables/"

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)

# a part must not begin with a dot or an underscore: no "..", and no customer called _shared
_PART = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,127}", re.ASCII)


def raw_key(*, customer: str | None, source: str, at: datetime, pack_id: str) -> str:
    """The key of one pack of deliveries; `at` decides the UTC date; customer None: shared."""
    owner = SHARED if customer is None else part("customer", customer)
    day = _utc(at).date().isoformat()
    return f"{RAW}customer={owner}/source={part('source', source)}/date={day}/{part('pack', pack_id)}.jsonl"


def raw_prefix(*, customer: str | None, source: str | None = None) -> str:
    """Where a customer's raw deliveries lie, or those of one of its sources."""
    owner = SHARED if customer is None else part("customer", customer)
    return f"{RAW}customer={owner}/" + (f"source={part('source', source)}/" if source is not None else "")


def inbox_prefix(source: str) -> str:
    """Where others drop exports of this source's ITSM."""
    return f"{INBOX}{part('source', source)}/"


def claim_key(source_uuid: str, external_id: str, runbook_key: str, occasion: int) -> str:
    """The key of the one object that says whose this run is; survives a database restored to an older state."""
    # as JSON, so that no external id can be written to run into its neighbours
    told = json.dumps([source_uuid, external_id, runbook_key, occasion], ensure_ascii=True, separators=(",", ":"))
    return CLAIMS + hashlib.sha256(told.encode("ascii")).hexdigest()


def start_key(claim: str) -> str:
    """The key of the object that says the action of this claim was allowed to start."""
    return STARTS + claim.removeprefix(CLAIMS)


def models_prefix(customer: str) -> str:
    """Where a customer's published models lie."""
    return f"{MODELS}{part('customer', customer)}/"


def model_prefix(customer: str, version: str) -> str:
    """The folder of one published model, with a slash at the end."""
    return f"{models_prefix(customer)}{part('version', version)}/"


def table_prefix(name: str) -> str:
    """Where the objects of a Delta table lie."""
    return f"{TABLES}{part('table', name)}/"


def table_uri(bucket: str, name: str) -> str:
    """The address of a Delta table as Delta readers take it."""
    return f"s3://{bucket}/{table_prefix(name).rstrip('/')}"


def time_ordered_id(at: datetime) -> str:
    """A UUIDv7 of this moment: ids of later milliseconds sort after earlier ones."""
    nanoseconds = (_utc(at) - _EPOCH) // timedelta(microseconds=1) * 1000  # exact, which a float timestamp is not
    return str(uuid_utils.uuid7(nanoseconds=nanoseconds))


def part(what: str, value: str) -> str:
    """`value` if it may stand as one part of a key; ValueError, which begins with `what`, if not."""
    if not _PART.fullmatch(value):
        raise ValueError(
            f"{what} {value!r} cannot be part of a key: use up to 128 of A-Z a-z 0-9 . _ - beginning with a letter "
            "or digit"
        )
    return value


def _utc(at: datetime) -> datetime:
    if at.tzinfo is None:
        raise ValueError(f"{at!r} has no time zone")
    return at.astimezone(UTC)
