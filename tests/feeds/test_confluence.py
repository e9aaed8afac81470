"""The `confluence` feed keeps the contract of all feeds, and what is its own."""

from typing import ClassVar

import pytest

from tests.feeds.contract import OverHttp
from tests.feeds.fakes.confluence import Cloud

pytestmark = pytest.mark.django_db


class TestCloud(OverHttp):
    """The contract."""

    kind: ClassVar = "confluence"
    library_kind: ClassVar = Cloud
