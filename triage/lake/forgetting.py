"""One customer's rows leave a Delta table: the files that hold them, and what the table's log repeats of them.

The log names for each file the smallest and largest value of every column, which are words of tickets. Other
customers' rows stay readable at every version.
"""

import json

from triage.lake import layout
from triage.lake.errors import LakeError
from triage.lake.store import ObjectStore
from triage.lake.tables import NO_TABLE, Tables


def forget(tables: Tables, store: ObjectStore, name: str, *, customer: str) -> int:
    """Take the customer's rows out of a table, also out of its earlier versions; how many objects went.

    Safe to do again. Raises LakeError.
    """
    layout.part("customer", customer)
    if tables.drop(name, customer=customer) == NO_TABLE:
        return 0
    root = layout.table_prefix(name)
    files = list(store.list(f"{root}customer={customer}/"))
    log = list(store.list(f"{root}_delta_log/"))
    # the last checkpoint was made after the rows had gone; the ones before repeat what is still in the log
    points = sorted(key for key in log if ".checkpoint." in key)
    newest = points[-1].rpartition("/")[2].split(".")[0] if points else ""
    store.delete([key for key in points if not key.rpartition("/")[2].startswith(newest)])
    for key in log:
        if key.endswith(".json") and "." not in key.rpartition("/")[2].removesuffix(".json"):
            _scrub(store, key, customer)
    store.delete(files)
    return len(files)


def _scrub(store: ObjectStore, key: str, customer: str) -> None:
    """Take the statistics of the customer's files out of one entry of the log."""
    body = store.get(key)
    if f"customer={customer}".encode() not in body:
        return
    lines, changed = [], False
    for text in body.splitlines():
        try:
            action = json.loads(text)
        except ValueError as error:
            raise LakeError(f"{key}: this is no entry of a table's log ({error})") from error
        for what in ("add", "remove"):
            told = action.get(what)
            if told and f"customer={customer}" in str(told.get("path")) and told.pop("stats", None) is not None:
                changed = True
        lines.append(json.dumps(action, separators=(",", ":"), ensure_ascii=False).encode())
    if changed:
        store.put(key, b"\n".join(lines) + b"\n")
