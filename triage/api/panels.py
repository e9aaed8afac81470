"""Passes to the panel: the ITSM's server asks for one, for the agent and the ticket before it."""

from datetime import datetime
from typing import Annotated
from uuid import UUID

from django.http import Http404, HttpRequest
from django.utils import timezone
from ninja import Field, Router, Schema, Status

from triage import panel
from triage.api.access import person_of
from triage.api.fields import Text
from triage.api.problems import PROBLEMS
from triage.models import Ticket, Token

router = Router(tags=["panel"])


class Wanted(Schema):
    """For whom and what.

    `source`: the source's short name. `ticket`: the ITSM's own id, or ours. `agent`: the mail address or user name that
    the agent has here too; the ITSM vouches that it is them who sit there.
    """

    source: Annotated[str, Field(pattern=r"^[-a-zA-Z0-9_]{1,40}$")]
    ticket: Annotated[Text, Field(min_length=1, max_length=200)]
    agent: Annotated[Text, Field(min_length=1, max_length=254)]


class PassOut(Schema):
    """A pass, good once it is opened within two minutes, for this ticket and agent alone.

    `url` is what the iframe shows; the pass stands behind its `#`, which browsers send to nobody.
    """

    url: str
    token: str
    expires_at: datetime
    ticket_id: UUID
    agent: str


@router.post("/", response={201: PassOut, **PROBLEMS}, operation_id="create_panel_token")
def create(request: HttpRequest, wanted: Wanted) -> Status[PassOut]:
    """A pass to the panel. The token's owner has to be an administrator of the ticket's customer."""
    person_of(request, "panel")
    token: Token = request.auth  # type: ignore[attr-defined]  # set by ninja from `authenticate`
    try:
        made = panel.launch(token=token, slug=wanted.source, ref=wanted.ticket, agent=wanted.agent, at=timezone.now())
    except Ticket.DoesNotExist:
        raise Http404 from None
    out = PassOut(
        url=made.url,
        token=made.token,
        expires_at=made.expires_at,
        ticket_id=made.ticket.uuid,
        agent=made.person.get_username(),
    )
    return Status(201, out)
