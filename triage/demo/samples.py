"""One ticket of the sample company together with the truth about it."""

from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Literal

_ORIGIN = datetime(2026, 11, 2, 7, 0, tzinfo=UTC)


@dataclass(frozen=True, kw_only=True)
class Sample:
    """One ticket with the truth about it.

    offset: seconds from the start of the stream, negative for history. truth: the English article's key, None
    where no article answers. truth_parameters: what a person would run the article's runbook with; empty where
    there is no runbook or the ticket does not say enough. template: the phrase at the ticket's core, or empty.
    """

    external_id: str
    subject: str
    body: str
    requester: str
    channel: str
    actor: Literal["person", "machine"]
    language: str
    kind: str
    priority: str
    offset: int
    fields: dict[str, str] = field(default_factory=dict)
    truth: str | None = None
    truth_parameters: dict[str, str] = field(default_factory=dict)
    template: str = ""


def stamp(offset: int) -> str:
    """The time that an alert of this offset writes into its text, ISO 8601; the sample world has its own calendar."""
    return (_ORIGIN + timedelta(seconds=offset)).isoformat().replace("+00:00", "Z")
