"""What supports a prediction besides its probability, and when there is too little of it to act on."""

from dataclasses import asdict, dataclass
from typing import Any


@dataclass(frozen=True, kw_only=True)
class Evidence:
    """Support for one prediction, for people and for the gate.

    `known_share` (0..1) and `known_count`: words of the ticket that training texts had; `language`: ISO 639-1 code
    or "und"; `in_scope` (0..1): how likely the ticket is about any article at all; `agreement` (0..1): 1 when both
    families name the same article with equal probabilities; `sufficient`: whether automation may look at the
    probability at all; `reason`: one plain sentence.
    """

    known_share: float
    known_count: int
    language: str
    in_scope: float
    agreement: float
    sufficient: bool
    reason: str

    def as_dict(self) -> dict[str, Any]:
        """The evidence as JSON values."""
        return asdict(self)
