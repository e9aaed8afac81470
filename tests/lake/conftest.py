"""One real S3 server for the room's tests, its bucket emptied before each."""

import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests import servers
from triage.embedded import Embedded, Endpoints
from triage.lake.store import ObjectStore
from triage.lake.tables import Tables


@pytest.fixture(scope="session")
def server() -> Iterator[Endpoints]:
    home = Path(tempfile.mkdtemp(prefix="tri-"))
    embedded = Embedded(home)
    try:
        yield embedded.start()
    finally:
        for part in embedded.parts:
            if part.process is not None:
                part.process.kill()  # an orderly end would wait for every idle connection of these tests
        embedded.stop()
        shutil.rmtree(home, ignore_errors=True)


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
