"""One real S3 server for the room's tests, its bucket emptied before each."""

from collections.abc import Iterator

import pytest

from tests import servers
from triage.embedded import Endpoints
from triage.lake.store import ObjectStore
from triage.lake.tables import Tables


@pytest.fixture(scope="session")
def server() -> Iterator[Endpoints]:
    with servers.embedded() as endpoints:
        yield endpoints


@pytest.fixture(scope="session")
def client(server: Endpoints) -> ObjectStore:
    return servers.store(server)


@pytest.fixture
def endpoints(server: Endpoints, client: ObjectStore) -> Endpoints:
    """The server with an empty bucket."""
    client.delete(client.list(""))
    return server


@pytest.fixture
def store(endpoints: Endpoints, client: ObjectStore) -> ObjectStore:
    return client


@pytest.fixture
def tables(endpoints: Endpoints) -> Tables:
    return Tables(
        endpoint=endpoints.s3_endpoint,
        bucket=endpoints.bucket,
        access_key=endpoints.s3_access_key,
        secret_key=endpoints.s3_secret_key,
    )
