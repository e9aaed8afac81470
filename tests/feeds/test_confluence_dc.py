"""The `confluence_dc` feed keeps the contract of all feeds, and what is its own."""

from typing import ClassVar

import pytest

from tests.feeds.contract import OverHttp
from tests.feeds.fakes.confluence import DataCenter

pytestmark = pytest.mark.django_db


class TestDataCenter(OverHttp):
    """The contract."""

    kind: ClassVar = "confluence_dc"
    library_kind: ClassVar = DataCenter
    seen_of_one_change: ClassVar = 3  # a day is added, whatever the zone of our user
