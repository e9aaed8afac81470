"""The believable desk, and tokens that begin with a full rate."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from django.utils import timezone

from tests.web import scene as scenes
from triage.api import access


@pytest.fixture
def scene(db: None, tmp_path: Path) -> scenes.Scene:
    return scenes.build(at=timezone.now(), folder=tmp_path)


@pytest.fixture(autouse=True)
def fresh() -> Iterator[None]:
    access.buckets.cache_clear()
    yield
    access.buckets.cache_clear()
