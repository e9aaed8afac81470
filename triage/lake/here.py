"""This installation's lake: the bucket and the tables that the environment names."""

from functools import lru_cache

from triage.environment import environment
from triage.lake.errors import LakeUnavailable
from triage.lake.store import ObjectStore
from triage.lake.tables import Tables


def store() -> ObjectStore:
    """The bucket; raises LakeUnavailable where the environment names none."""
    return _store(*_place())


def tables() -> Tables:
    """The Delta tables of the same bucket; raises LakeUnavailable where the environment names none."""
    return _tables(*_place())


def _place() -> tuple[str, str, str, str, str]:
    found = environment()
    if not found.lake_endpoint:
        raise LakeUnavailable(
            "no lake is configured: start the embedded one with `triage up`, or set TRIAGE_LAKE_ENDPOINT and its keys"
        )
    secret = found.lake_secret_key.get_secret_value()
    return found.lake_endpoint, found.lake_bucket, found.lake_access_key, secret, found.lake_region


@lru_cache(maxsize=2)
def _store(endpoint: str, bucket: str, access_key: str, secret_key: str, region: str) -> ObjectStore:
    return ObjectStore(endpoint=endpoint, bucket=bucket, access_key=access_key, secret_key=secret_key, region=region)


@lru_cache(maxsize=2)
def _tables(endpoint: str, bucket: str, access_key: str, secret_key: str, region: str) -> Tables:
    return Tables(endpoint=endpoint, bucket=bucket, access_key=access_key, secret_key=secret_key, region=region)
