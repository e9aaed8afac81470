"""ServiceNow: the contract, its own forms, and the Business Rule that we ship."""

from typing import ClassVar

from tests.itsm.contract import Contract
from tests.itsm.fakes.servicenow import ServiceNow
from triage.itsm import servicenow


class TestServiceNow(Contract):
    """ServiceNow keeps the contract."""

    adapter = servicenow
    desk_kind = ServiceNow
    kind: ClassVar[str] = "servicenow"

    def signed_headers(self, headers: dict[str, str]) -> list[str]:
        return list(headers)
