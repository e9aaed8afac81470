"""One outgoing event: a signed message as https://www.standardwebhooks.com says, to an address that was looked at."""

import json
from datetime import UTC, datetime

from triage.environment import environment
from triage.itsm import addresses, outgoing
from triage.itsm.standard import signed_headers
from triage.models import Posting
from triage.telling.kinds import KINDS

GONE = 410


class EventFailed(Exception):
    """It was not taken. `permanent`: this message never will be; `gone`: the endpoint wants no more at all."""

    def __init__(self, message: str, *, permanent: bool, gone: bool = False) -> None:
        super().__init__(message)
        self.permanent = permanent
        self.gone = gone


def payload(row: Posting) -> bytes:
    """What is signed and sent: `{"type", "timestamp", "data"}`; ids and states, never a ticket's text."""
    notice = row.notification
    data = {
        **notice.data,
        "customer": notice.customer.slug if notice.customer else None,
        "kind": notice.kind,
        "text": notice.text,
        "link": f"{environment().base_url}{notice.link}" if notice.link else None,
    }
    told = {"type": KINDS[notice.kind].event, "timestamp": notice.created_at.isoformat(), "data": data}
    return json.dumps(told, ensure_ascii=True, separators=(",", ":")).encode()


def send(row: Posting) -> None:
    """POST it, signed with each of the endpoint's secrets; EventFailed where it was not taken."""
    endpoint = row.endpoint
    assert endpoint is not None  # noqa: S101 - the database lets no other row be
    secrets = endpoint.signing_secrets()
    if not secrets:
        raise EventFailed("the endpoint has no secret to sign with; set one", permanent=False)
    try:
        numbers = addresses.allowed(endpoint.url, internal=endpoint.internal)
    except addresses.AddressRefused as error:
        raise EventFailed(str(error), permanent=False) from error
    except OSError as error:
        raise EventFailed("its name cannot be resolved", permanent=False) from error
    body, key, now = payload(row), f"msg_{row.uuid.hex}", datetime.now(UTC)  # receivers compare it with their clocks
    signed = [signed_headers(secret, key=key, body=body, at=now) for secret in secrets]
    headers = {
        **signed[0],
        "webhook-signature": " ".join(one["webhook-signature"] for one in signed),
        "content-type": "application/json",
    }
    number = numbers[row.attempts % len(numbers)]  # the next try goes to the next address
    try:
        outgoing.exchange("POST", endpoint.url, body=body, headers=headers, address=number)
    except outgoing.ExchangeFailed as error:
        raise EventFailed(str(error), permanent=False, gone=error.status == GONE) from error
