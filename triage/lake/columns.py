"""What each Delta table of the lake holds, and the way of a row into a table's columns and back."""

import json
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Literal
from uuid import UUID

if TYPE_CHECKING:
    from arro3.core import Array, Table

Kind = Literal["text", "number", "whole", "moment", "json"]

COLUMNS: Mapping[str, Mapping[str, Kind]] = {
    "tickets": {
        "uuid": "text",
        "source": "text",
        "external_id": "text",
        "subject": "text",
        "body": "text",
        "channel": "text",
        "actor": "text",
        "language": "text",
        "kind": "text",
        "priority": "text",
        "fields": "json",
        "created_at": "moment",
        "updated_at": "moment",
        "received_at": "moment",
        "text_hash": "text",
        "storm_key": "text",
        "status": "text",
    },
    "predictions": {
        "uuid": "text",
        "ticket": "text",
        "text_hash": "text",
        "release": "text",
        "matches": "json",
        "probability": "number",
        "score": "number",
        "evidence": "json",
        "reason": "text",
        "mode": "text",
        "article": "text",
        "runbook": "text",
        "made_at": "moment",
    },
    "labels": {
        "uuid": "text",
        "ticket": "text",
        "subject": "text",
        "body": "text",
        "language": "text",
        "article": "text",
        "provenance": "text",
        "draw_purpose": "text",
        "draw_probability": "number",
        "made_at": "moment",
        "withdrawn_at": "moment",
    },
    "runs": {
        "uuid": "text",
        "ticket": "text",
        "runbook": "text",
        "occasion": "whole",
        "target": "text",
        "target_object": "text",
        "parameters": "json",
        "text_hash": "text",
        "action_digest": "text",
        "ordered_by": "text",
        "status": "text",
        "reason": "text",
        "requested_at": "moment",
        "started_at": "moment",
        "finished_at": "moment",
    },
}
"""What each table holds. `uuid` names a row for good and must be given; every other column may be None.

A row that changed is appended again under its uuid, and readers take what was written last.
"""

WRITTEN = "written_at"  # when it was appended: of the rows with one uuid the newest counts
PARTITIONS = ["customer", "month"]

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def columns_of(name: str) -> Mapping[str, Kind]:
    """A table's columns; ValueError where there is no such table."""
    try:
        return COLUMNS[name]
    except KeyError:
        raise ValueError(f"there is no table {name!r}; there are {', '.join(COLUMNS)}") from None


def arrow_table(name: str, rows: Sequence[Mapping[str, object]], *, customer: str, at: datetime) -> "Table":
    """Rows as the table keeps them; ValueError names the row and column that do not fit."""
    from arro3.core import Table

    columns = columns_of(name)
    for number, row in enumerate(rows):
        if unknown := row.keys() - columns.keys():
            raise ValueError(f"table {name}, row {number}: no column {', '.join(sorted(unknown))}")
        if not row.get("uuid"):
            raise ValueError(f"table {name}, row {number}: uuid is missing")
    filled = {
        column: _array(kind, [_fit(name, column, kind, number, row.get(column)) for number, row in enumerate(rows)])
        for column, kind in columns.items()
    }
    count = len(rows)
    return Table.from_pydict(
        {
            **filled,
            WRITTEN: _array("moment", [_microseconds(at)] * count),
            "customer": _array("text", [customer] * count),
            "month": _array("text", [at.astimezone(UTC).strftime("%Y-%m")] * count),
        }
    )


def _fit(name: str, column: str, kind: Kind, number: int, value: object) -> object:
    """`value` as its column stores it."""
    try:
        return None if value is None else _stored(kind, value)
    except (TypeError, ValueError) as error:
        raise ValueError(f"table {name}, row {number}, {column}: {error}") from None


def _stored(kind: Kind, value: object) -> object:
    match kind, value:
        case "json", _:
            return _utf8(json.dumps(value, sort_keys=True, ensure_ascii=False, allow_nan=False))
        case "text", UUID():
            return str(value)
        case "text", str():
            return _utf8(value)
        case "number", int() | float() if not isinstance(value, bool):
            return float(value)
        case "whole", int() if not isinstance(value, bool):
            if not -(2**63) <= value < 2**63:
                raise ValueError(f"{value} needs more than 64 bits")
            return value
        case "moment", datetime():
            return _microseconds(value)
    raise TypeError(f"{type(value).__name__} is not {kind}")


def _utf8(text: str) -> str:
    # half of a surrogate pair has no UTF-8; hostile text brings them by JSON escapes
    return text.encode("utf-8", "replace").decode("utf-8")


def _microseconds(at: datetime) -> int:
    if at.tzinfo is None:
        raise ValueError(f"{at!r} has no time zone")
    return (at - _EPOCH) // timedelta(microseconds=1)


def _array(kind: Kind, values: Sequence[object]) -> "Array":
    from arro3.core import Array, DataType

    match kind:
        case "number":
            return Array(values, type=DataType.float64())
        case "whole":
            return Array(values, type=DataType.int64())
        case "moment":
            return Array(values, type=DataType.int64()).cast(DataType.timestamp("us", tz="UTC"))
    return Array(values, type=DataType.utf8())


def newest(columns: Mapping[str, Kind], values: Mapping[str, Sequence[object]]) -> list[dict[str, object]]:
    """One row for each uuid, the one written last, ordered by uuid."""
    newest: dict[str, tuple[tuple[datetime, int, str], dict[str, object]]] = {}
    count = len(values["uuid"])
    nothing = [None] * count
    listed = {column: values.get(column, nothing) for column in (*columns, WRITTEN)}
    for number in range(count):
        stored = {column: found[number] for column, found in listed.items()}
        written = stored[WRITTEN]
        assert isinstance(written, datetime)  # noqa: S101
        # the last two only settle rows written at one moment, the same way whatever order they are read in
        rank = (written, sum(value is not None for value in stored.values()), repr(stored))
        uuid = str(stored["uuid"])
        if uuid not in newest or rank > newest[uuid][0]:
            newest[uuid] = (rank, stored)
    return [_row(columns, stored) for _, (_, stored) in sorted(newest.items())]


def _row(columns: Mapping[str, Kind], stored: Mapping[str, object]) -> dict[str, object]:
    row: dict[str, object] = {}
    for column, value in stored.items():
        if isinstance(value, datetime):
            row[column] = value.astimezone(UTC)
        elif isinstance(value, str) and columns.get(column) == "json":
            row[column] = json.loads(value)
        else:
            row[column] = value
    return row
