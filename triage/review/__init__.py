"""What people decide at the desk: verdicts on tickets and their undoing, holds, lost runs, switches and circuits.

A verdict writes the Review, the Label, the ticket's new status and what the ITSM is to be told in one transaction.
"""

from triage.review.attached import take_over
from triage.review.holding import hold, release, take_hold
from triage.review.refused import ReviewRefused
from triage.review.settling import reveal, settle_unknown
from triage.review.switching import close_circuit, switch_all, switch_automation, switch_runbook
from triage.review.undoing import undo
from triage.review.verdict import decide

__all__ = [
    "ReviewRefused",
    "close_circuit",
    "decide",
    "hold",
    "release",
    "reveal",
    "settle_unknown",
    "switch_all",
    "switch_automation",
    "switch_runbook",
    "take_hold",
    "take_over",
    "undo",
]
