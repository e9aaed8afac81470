"""The `servicenow` feed keeps the contract of all feeds, and what is its own."""

from typing import ClassVar

import pytest

from tests.feeds.contract import OverHttp, Translated
from tests.feeds.fakes.servicenow import ServiceNow

pytestmark = pytest.mark.django_db


class TestServiceNow(OverHttp, Translated):
    """The contract."""

    kind: ClassVar = "servicenow"
    library_kind: ClassVar = ServiceNow
