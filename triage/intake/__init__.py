"""Stage 1: a verified message becomes rows, once, whatever comes twice, late or out of order."""

from triage.intake.accepting import Accepted, Told, accept
from triage.intake.again import Stored, apply_stored
from triage.intake.changes import Result, apply_left_waiting, apply_waiting_update
from triage.intake.owners import map_waiting
from triage.intake.pages import accept_page, apply_again
from triage.intake.storms import storm_key

__all__ = [
    "Accepted",
    "Result",
    "Stored",
    "Told",
    "accept",
    "accept_page",
    "apply_again",
    "apply_left_waiting",
    "apply_stored",
    "apply_waiting_update",
    "map_waiting",
    "storm_key",
]
