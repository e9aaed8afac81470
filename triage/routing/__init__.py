"""From matches, evidence, certificates, runbook and limits to one decision with its reason. Pure: no database or clock.

Only matches that tickets have taught come in here. New articles, which are matched by their text, are suggested beside
them and can lead to no run and no request for approval.
"""

from triage.routing.deciding import (
    APPROVE_FOR,
    AUTOMATE_FOR,
    Proof,
    Routed,
    Situation,
    attachment_is_content,
    decide,
)
from triage.routing.selection import Offer, Pick, gate, selected

__all__ = [
    "APPROVE_FOR",
    "AUTOMATE_FOR",
    "Offer",
    "Pick",
    "Proof",
    "Routed",
    "Situation",
    "attachment_is_content",
    "decide",
    "gate",
    "selected",
]
