"""A sender of the standard source, as people write one."""

import json
from datetime import UTC, datetime, timedelta
from typing import Any

from django.test import Client

from triage.itsm import standard
from triage.models import Source

TOLD = {
    "external_id": "INC7",
    "subject": "Account locked",
    "body": "I cannot sign in since this morning.",
    "requester": "ada@nordwind.example",
    "channel": "portal",
    "status": "new",
    "priority": "high",
    "updated_at": "2026-11-20T09:30:00Z",
}


def send(
    source: Source, *, key: str = "msg_1", secret: str = "", minutes: float = 0, raw: bytes = b"", **said: Any
) -> Any:
    """The door's answer to a signed message; `minutes`: how long ago it was signed."""
    body = raw or json.dumps({**TOLD, **said}).encode()
    at = datetime.now(UTC) - timedelta(minutes=minutes)
    source.refresh_from_db()
    headers = standard.signed_headers(secret or source.signing_secrets()[0], key=key, body=body, at=at)
    return Client().post(f"/webhooks/{source.slug}/", body, content_type="application/json", headers=headers)
