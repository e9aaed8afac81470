"""Delta tables in the lake, by customer and month of writing: tickets, predictions, labels and runs.

Anything that reads Delta may read them; only this module writes. The Delta library's threads do not survive a fork, so
it loads on first use and a process whose parent used it is told so.
"""

import os
import random
import re
import time
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, TypeVar
from urllib.parse import urlsplit

from triage.lake import layout
from triage.lake.columns import PARTITIONS, WRITTEN, Kind, arrow_table, columns_of, newest
from triage.lake.connection import CONNECT_SECONDS, Connection
from triage.lake.errors import AccessDenied, LakeError, LakeUnavailable, NotThere

if TYPE_CHECKING:
    from deltalake import DeltaTable

T = TypeVar("T")

NO_TABLE = -1

COMMIT_ATTEMPTS = 8

# a training set is a version of a table, so versions and their files must stay readable
_CONFIGURATION = {
    "delta.logRetentionDuration": "interval 3650 days",
    "delta.checkpointInterval": "20",
    "delta.enableExpiredLogCleanup": "false",
    "delta.deletedFileRetentionDuration": "interval 3650 days",
}
_COLOURS = re.compile(r"\x1b\[[0-9;]*m")
_used_by: list[int] = []


class Tables:
    """The Delta tables of one bucket.

    Every method raises LakeUnavailable when the lake does not answer within seconds, AccessDenied on refused
    credentials and LakeError for anything else.
    """

    def __init__(
        self, *, endpoint: str, bucket: str, access_key: str, secret_key: str, region: str = "us-east-1"
    ) -> None:
        self.bucket = bucket
        self._options = _options(Connection(endpoint, bucket, access_key, secret_key, region))

    def append(self, name: str, *, customer: str, rows: Sequence[Mapping[str, object]], at: datetime) -> int:
        """Append rows, all or none, as written at `at`; return a version of the table that holds them.

        Appending the same rows twice is harmless: readers see one row for each uuid. Values: str or UUID for text,
        aware datetimes for moments, anything JSON takes for json. ValueError names what does not fit.
        """
        columns_of(name)
        layout.part("customer", customer)
        if not rows:
            return self._version(name)
        data = arrow_table(name, rows, customer=customer, at=at)

        def write() -> int:
            from deltalake import write_deltalake

            write_deltalake(
                layout.table_uri(self.bucket, name),
                data,
                mode="append",
                schema_mode="merge",  # a table written before a column was added takes the wider rows
                partition_by=PARTITIONS,
                storage_options=self._options,
                configuration=_CONFIGURATION,
            )
            return self._open(name).version()

        return _committed(name, write)

    def read(self, name: str, *, customer: str, version: int | None = None) -> tuple[int, list[dict[str, object]]]:
        """One customer's rows at `version` (None: now), one for each uuid, ordered by uuid, and the version read.

        (-1, []) where the table was never written. NotThere: the table has no such version.
        """
        columns = columns_of(name)
        layout.part("customer", customer)
        if version is not None and version < 0:
            return NO_TABLE, []
        try:
            return self._read(name, columns, customer=customer, version=version)
        except _NoTable:
            return NO_TABLE, []

    def compact(self, name: str) -> int:
        """Gather a table's many small files into few; what a version holds does not change. The new version."""
        columns_of(name)

        def gather() -> int:
            table = self._open(name)
            table.optimize.compact()
            return table.version()

        try:
            return _committed(name, gather)
        except _NoTable:
            return NO_TABLE

    def drop(self, name: str, *, customer: str) -> int:
        """Take a customer's rows out of the table as it is now, and write its state down anew; the new version.

        NO_TABLE where the table was never written. The rows' files stay: see `triage.lake.forgetting`.
        """
        columns_of(name)
        layout.part("customer", customer)

        def delete() -> int:
            table = self._open(name)
            table.delete(f"customer = '{customer}'")
            table.create_checkpoint()
            return table.version()

        try:
            return _committed(name, delete)
        except _NoTable:
            return NO_TABLE

    def _version(self, name: str) -> int:
        try:
            with_version = _explained(name, lambda: self._open(name).version())
        except _NoTable:
            return NO_TABLE
        return with_version

    def _read(
        self, name: str, columns: Mapping[str, Kind], *, customer: str, version: int | None
    ) -> tuple[int, list[dict[str, object]]]:
        def load() -> tuple[int, dict[str, list[object]]]:
            table = self._open(name, version)
            there = {field.name for field in table.schema().fields}
            wanted = [column for column in (*columns, WRITTEN) if column in there]
            found = table.scan(columns=wanted, predicate=f"customer = '{customer}'").read_all()
            return table.version(), {column: list(found.column(column).to_pylist()) for column in wanted}

        loaded, values = _explained(name, load)
        return loaded, newest(columns, values)

    def _open(self, name: str, version: int | None = None) -> "DeltaTable":
        _refuse_after_fork()
        from deltalake import DeltaTable

        return DeltaTable(layout.table_uri(self.bucket, name), version=version, storage_options=self._options)


def _options(connection: Connection) -> dict[str, str]:
    """The Delta library's storage options. It reads AWS_* variables too, so what must not come from there is said."""
    options = {
        "AWS_ENDPOINT_URL": connection.endpoint,
        "AWS_ENDPOINT_URL_S3": connection.endpoint,
        "AWS_ALLOW_HTTP": str(connection.plain_http).lower(),
        "AWS_REGION": connection.region,
        "AWS_ACCESS_KEY_ID": connection.access_key,
        "AWS_SECRET_ACCESS_KEY": connection.secret_key,
        "AWS_VIRTUAL_HOSTED_STYLE_REQUEST": "false",
        "AWS_SKIP_SIGNATURE": "false",
        "aws_conditional_put": "etag",  # one commit of a version wins, without any lock beside the bucket
        "connect_timeout": f"{CONNECT_SECONDS}s",
        "timeout": "30s",
        "max_retries": "3",
        "retry_timeout": "15s",
    }
    if connection.on_loopback:
        # naming a proxy and excepting the only host is how this library is kept from the environment's proxy
        host = urlsplit(connection.endpoint).hostname or ""
        options |= {"proxy_url": connection.endpoint, "proxy_excludes": host}
    for name in ("AWS_SESSION_TOKEN", "AWS_TOKEN"):
        if name in os.environ:
            if not connection.on_loopback:
                raise LakeError(f"{name} is set and would be sent with the lake's own access key; unset it for Triage")
            options["AWS_SESSION_TOKEN"] = ""
    return options


class _NoTable(NotThere):
    """Nothing was ever written to this table."""


class _Lost(LakeError):
    """Another writer took the version that this commit wanted."""


_MEANINGS: tuple[tuple[str, type[LakeError]], ...] = (
    ("LogSegment end version", NotThere),
    ("NoSuchBucket", LakeError),
    ("lacked the necessary privileges", AccessDenied),
    ("valid authentication credentials", AccessDenied),
    ("Generic S3 error", LakeUnavailable),
)


def _committed(name: str, work: Callable[[], int]) -> int:
    """Do `work`, again when another writer was faster: two first appends both want to make the table."""
    for attempt in range(COMMIT_ATTEMPTS):
        try:
            return _explained(name, work)
        except _Lost:
            time.sleep(random.uniform(0.02, 0.1) * (attempt + 1))  # noqa: S311 - spreads writers, no secret
    raise LakeUnavailable(f"table {name}: other writers were faster {COMMIT_ATTEMPTS} times; try again")


def _explained(name: str, work: Callable[[], T]) -> T:
    """Do `work` with the Delta library's errors turned into ours."""
    _refuse_after_fork()
    from deltalake.exceptions import CommitFailedError, DeltaError, TableNotFoundError

    try:
        return work()
    except TableNotFoundError as error:
        raise _NoTable(f"table {name}: {_plain(error)}") from error
    except CommitFailedError as error:
        raise _Lost(f"table {name}: {_plain(error)}") from error
    except (DeltaError, OSError) as error:
        raise _meaning(name, error) from error
    except BaseException as error:
        if type(error).__name__ == "PanicException":  # Rust's own, which is no Exception and cannot be imported
            raise LakeError(f"table {name}: the Delta library failed inside: {error}") from error
        raise


def _meaning(name: str, error: Exception) -> LakeError:
    """Which of our errors the library means; it tells them apart in words only."""
    said = _plain(error)
    for words, kind in _MEANINGS:
        if words in said:
            return kind(f"table {name}{', no such version' if kind is NotThere else ''}: {said}")
    if isinstance(error, OSError):
        return LakeUnavailable(f"table {name}: the lake does not answer: {said}")
    return LakeError(f"table {name}: {said}")


def _refuse_after_fork() -> None:
    if not _used_by:
        _used_by.append(os.getpid())
    if _used_by[0] != os.getpid():
        raise LakeError("this process was forked after its parent had used the tables; use them in children only")


def _plain(error: Exception) -> str:
    return " ".join(_COLOURS.sub("", str(error)).split())
