"""The `zendesk` feed keeps the contract of all feeds, and what is its own."""

from typing import ClassVar

import pytest

from tests.feeds.contract import OverHttp, Translated
from tests.feeds.fakes.zendesk import Zendesk

pytestmark = pytest.mark.django_db


class TestZendesk(OverHttp, Translated):
    """The contract."""

    kind: ClassVar = "zendesk"
    library_kind: ClassVar = Zendesk
    language: ClassVar = "en-US"
