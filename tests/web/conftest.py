"""The believable desk for tests that need no browser."""

from pathlib import Path

import pytest
from django.test import Client
from django.utils import timezone

from tests.web import scene as scenes
from triage.models import Person


@pytest.fixture
def scene(db: None, tmp_path: Path) -> scenes.Scene:
    """Two customers, tickets in every state that a person has to do with."""
    return scenes.build(at=timezone.now(), folder=tmp_path)


def client_of(person: Person) -> Client:
    """A browser of somebody who has signed in; it checks CSRF like a real one does not."""
    client = Client()
    client.force_login(person, backend="django.contrib.auth.backends.ModelBackend")
    return client
