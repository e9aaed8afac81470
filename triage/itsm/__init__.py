"""Connections to ITSMs: one file an ITSM, and one line here."""

from collections.abc import Mapping

from triage.itsm import freshservice, github, jira, roundup, servicenow, standard, zendesk
from triage.itsm.base import (
    Connector,
    IncomingTicket,
    ItsmError,
    Page,
    Parsed,
    PayloadInvalid,
    PayloadTooLarge,
    PullFailed,
    ReadFailed,
    ReplyFailed,
    Seen,
    SignatureInvalid,
)
from triage.itsm.placing import Order, Placed

__all__ = [
    "SOURCES",
    "Connector",
    "IncomingTicket",
    "ItsmError",
    "Order",
    "Page",
    "Parsed",
    "PayloadInvalid",
    "PayloadTooLarge",
    "Placed",
    "PullFailed",
    "ReadFailed",
    "ReplyFailed",
    "Seen",
    "SignatureInvalid",
]

SOURCES: Mapping[str, Connector] = {
    "freshservice": freshservice,
    "github": github,
    "jira": jira,
    "roundup": roundup,
    "servicenow": servicenow,
    "standard": standard,
    "zendesk": zendesk,
}
