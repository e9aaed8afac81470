"""The `folder` feed keeps the contract of all feeds, and what is its own."""

from typing import ClassVar

import pytest

from tests.feeds.contract import HTML, Translated
from tests.feeds.fakes.folder import Folder

pytestmark = pytest.mark.django_db


class TestFolder(Translated):
    """The contract."""

    kind: ClassVar = "folder"
    library_kind: ClassVar = Folder

    def check_text(self, body: str) -> None:
        """Markdown is read as it is, and shown as text."""
        assert body == HTML
