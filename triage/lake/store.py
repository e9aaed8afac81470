"""Objects in an S3 bucket: put, get, head, list and delete with digests, conditional writes and short time-outs.

One `ObjectStore` may be shared by threads and inherited over a fork: each process makes its own client on first use.
"""

import base64
import hashlib
import os
import random
import re
import threading
import time
import uuid
from collections.abc import Generator, Iterable, Iterator, Mapping
from contextlib import contextmanager
from datetime import datetime
from typing import TYPE_CHECKING

import boto3
import botocore.session
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError, FlexibleChecksumError, ParamValidationError

from triage.lake.connection import CONNECT_SECONDS, Connection
from triage.lake.errors import AccessDenied, AlreadyThere, Damaged, LakeError, LakeUnavailable, NotThere

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

__all__ = ["AccessDenied", "AlreadyThere", "Damaged", "LakeError", "LakeUnavailable", "NotThere", "ObjectStore"]

READ_SECONDS = 10
ATTEMPTS = 2
CONFLICT_ATTEMPTS = 5
DELETE_BATCH = 1000  # S3's own limit for one request

DIGEST = "sha256"  # hex digest of the body, in the object's metadata
PUT_ID = "put-id"  # tells our own object from another's after an answer was lost
_NAME = re.compile(r"[a-z0-9][a-z0-9-]*", re.ASCII)

DAMAGED_CODES = frozenset({"BadDigest", "InvalidDigest", "XAmzContentChecksumMismatch", "XAmzContentSHA256Mismatch"})
BUSY_CODES = frozenset({"SlowDown", "RequestTimeout", "RequestTimeoutException", "Throttling", "OperationAborted"})

# A fork while another thread makes a client must not leave the child with a lock that nobody releases.
_making = threading.Lock()
os.register_at_fork(before=_making.acquire, after_in_parent=_making.release, after_in_child=_making.release)


class ObjectStore:
    """One bucket of an S3 server.

    `endpoint` is a URL such as https://s3.example.org. Every method raises LakeUnavailable when the server does not
    answer (connecting takes at most 2 s, reading 10 s, two attempts), AccessDenied on refused credentials and
    LakeError for anything else that S3 refuses.
    """

    def __init__(
        self, *, endpoint: str, bucket: str, access_key: str, secret_key: str, region: str = "us-east-1"
    ) -> None:
        self.connection = Connection(endpoint, bucket, access_key, secret_key, region)
        self.bucket = bucket
        self._made: tuple[int, S3Client] | None = None

    def __repr__(self) -> str:
        return f"ObjectStore({self.connection.endpoint}/{self.bucket})"

    def put(self, key: str, body: bytes, *, if_absent: bool = False, metadata: Mapping[str, str] | None = None) -> str:
        """Write `body` (up to 5 GB) under `key` and return its etag; its SHA-256 goes along and is kept with it.

        With `if_absent` one writer of many wins, the others get AlreadyThere. After LakeUnavailable the object may
        have been written all the same; a second put with `if_absent` then says AlreadyThere, so whoever must know
        whether the object is its own compares the body. Metadata: lower-case ASCII names, printable ASCII values.
        """
        digest = hashlib.sha256(body)
        put_id = uuid.uuid4().hex
        kept = {**_checked(metadata or {}), DIGEST: digest.hexdigest(), PUT_ID: put_id}
        checksum = base64.b64encode(digest.digest()).decode("ascii")
        if not if_absent:
            with _explained(key):
                return self._client().put_object(
                    Bucket=self.bucket, Key=key, Body=body, Metadata=kept, ChecksumSHA256=checksum
                )["ETag"]
        try:
            return self._put_absent(key, body, kept, checksum)
        except AlreadyThere as taken:
            # A lost answer makes the client send again, and then our own object is what stands in the way.
            try:
                found = self.head(key)
            except NotThere:
                raise taken from None
            if found.get(PUT_ID) == put_id:
                return found["etag"]
            raise

    def _put_absent(self, key: str, body: bytes, kept: Mapping[str, str], checksum: str) -> str:
        for attempt in range(CONFLICT_ATTEMPTS):
            try:
                with _explained(key):
                    return self._client().put_object(
                        Bucket=self.bucket,
                        Key=key,
                        Body=body,
                        Metadata=kept,
                        ChecksumSHA256=checksum,
                        IfNoneMatch="*",
                    )["ETag"]
            except _Conflict:
                # two conditional writes met; S3 asks for another try, after which one of them is there
                time.sleep(random.uniform(0.02, 0.1) * (attempt + 1))  # noqa: S311 - spreads racers, no secret
        raise LakeUnavailable(f"{key}: other writers kept the key busy; try again")

    def get(self, key: str) -> bytes:
        """The object's bytes, checked against the SHA-256 kept with them; NotThere, Damaged."""
        with _explained(key):
            answer = self._client().get_object(Bucket=self.bucket, Key=key)
            with answer["Body"] as stream:
                body = stream.read()
        wanted = answer["Metadata"].get(DIGEST)
        if wanted is not None and hashlib.sha256(body).hexdigest() != wanted:
            raise Damaged(f"{key}: the bytes do not match the SHA-256 they were written with; restore the object")
        return body

    def head(self, key: str) -> Mapping[str, str]:
        """The object's metadata, and its `etag`, `size` in bytes and `changed_at` (ISO 8601); NotThere."""
        with _explained(key):
            answer = self._client().head_object(Bucket=self.bucket, Key=key)
        return {
            **answer["Metadata"],
            "etag": answer["ETag"],
            "size": str(answer["ContentLength"]),
            "changed_at": answer["LastModified"].isoformat(),
        }

    def list(self, prefix: str, *, changed_since: datetime | None = None) -> Iterator[str]:
        """Every key that begins with `prefix`, in order; pages are fetched as they are needed.

        changed_since: only objects written at or after this moment, by the lake's own clock.
        """
        token = ""
        while True:
            with _explained(prefix):
                client = self._client()
                page = (
                    client.list_objects_v2(Bucket=self.bucket, Prefix=prefix, ContinuationToken=token)
                    if token
                    else client.list_objects_v2(Bucket=self.bucket, Prefix=prefix)
                )
            for item in page.get("Contents", ()):
                if changed_since is None or item["LastModified"] >= changed_since:
                    yield item["Key"]
            token = page.get("NextContinuationToken", "")
            if not page.get("IsTruncated") or not token:
                return

    def delete(self, keys: Iterable[str]) -> None:
        """Delete every one of `keys`; a key that is not there is no error."""
        waiting = list(keys)
        for start in range(0, len(waiting), DELETE_BATCH):
            batch = waiting[start : start + DELETE_BATCH]
            with _explained(batch[0]):
                answer = self._client().delete_objects(
                    Bucket=self.bucket, Delete={"Objects": [{"Key": key} for key in batch], "Quiet": True}
                )
            if failed := answer.get("Errors"):
                first = failed[0]
                raise LakeError(f"{len(failed)} objects were not deleted; {first.get('Key')}: {first.get('Message')}")

    def ensure_bucket(self) -> None:
        """Make the bucket unless it is there and ours."""
        client = self._client()
        try:
            with _explained(self.bucket):
                client.head_bucket(Bucket=self.bucket)
        except NotThere:
            with _explained(self.bucket):
                try:
                    client.create_bucket(Bucket=self.bucket)
                except (client.exceptions.BucketAlreadyOwnedByYou, client.exceptions.BucketAlreadyExists):
                    client.head_bucket(Bucket=self.bucket)  # somebody made it meanwhile: do we reach it?

    def _client(self) -> "S3Client":
        made = self._made
        if made is not None and made[0] == os.getpid():
            return made[1]
        with _making:
            made = self._made
            if made is None or made[0] != os.getpid():
                # a parent's connections must not be shared: two processes would read each other's answers
                made = (os.getpid(), self._new_client())
                self._made = made
        return made[1]

    def _new_client(self) -> "S3Client":
        # the person's own AWS profile and files say nothing about where the lake is
        session = botocore.session.Session(
            session_vars={
                "profile": (None, None, None, None),
                "config_file": (None, None, os.devnull, None),
                "credentials_file": (None, None, os.devnull, None),
            }
        )
        return boto3.session.Session(botocore_session=session).client(
            "s3",
            endpoint_url=self.connection.endpoint,
            region_name=self.connection.region,
            aws_access_key_id=self.connection.access_key,
            aws_secret_access_key=self.connection.secret_key,
            config=Config(
                connect_timeout=CONNECT_SECONDS,
                read_timeout=READ_SECONDS,
                retries={"mode": "standard", "total_max_attempts": ATTEMPTS},
                signature_version="s3v4",
                s3={"addressing_style": "path"},
                request_checksum_calculation="when_required",
                response_checksum_validation="when_supported",
                max_pool_connections=32,
                proxies={} if self.connection.on_loopback else None,
            ),
        )


class _Conflict(LakeError):
    """S3 saw two conditional writes at one moment and took neither."""


@contextmanager
def _explained(key: str) -> Generator[None]:
    """Turn botocore's errors into ours."""
    try:
        yield
    except ClientError as error:
        raise _meaning(error, key) from error
    except FlexibleChecksumError as error:
        raise Damaged(f"{key}: {error}") from error
    except ParamValidationError as error:
        raise LakeError(f"{key}: {error}") from error
    except BotoCoreError as error:
        raise LakeUnavailable(f"{key}: the lake does not answer: {error}") from error


def _meaning(error: ClientError, key: str) -> LakeError:
    """Which of our errors S3's answer is."""
    code = error.response.get("Error", {}).get("Code", "")
    status = error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0)
    said = f"{key}: {error}"
    if code in DAMAGED_CODES:
        return Damaged(said)
    if code == "NoSuchBucket":
        return LakeError(f"{said}; make the bucket or mend its name")  # never NotThere: that says the object is not
    if status >= 500 or status == 429 or code in BUSY_CODES:
        return LakeUnavailable(said)
    by_status: dict[int, type[LakeError]] = {
        401: AccessDenied,
        403: AccessDenied,
        404: NotThere,
        409: _Conflict,
        412: AlreadyThere,
    }
    return by_status.get(status, LakeError)(said)


def _checked(metadata: Mapping[str, str]) -> Mapping[str, str]:
    """Metadata travels as HTTP headers, so what a header cannot carry is refused here."""
    for name, value in metadata.items():
        if name in {DIGEST, PUT_ID} or not _NAME.fullmatch(name):
            raise LakeError(f"metadata name {name!r}: use lower-case letters, digits and hyphens, not sha256 or put-id")
        if not (value.isascii() and value.isprintable() and value == value.strip()):
            raise LakeError(f"metadata {name}: use printable ASCII without spaces around it")
    return metadata
