"""People and programs are told: one notification for one occasion, on the desk, by mail and as an outgoing event.

`tell` writes rows only, in the caller's transaction; `deliver` sends what waits, `due` says whether anything does.
"""

from triage.telling.decided import Decided, listeners, tell_decided, tell_verdict, verdict_key
from triage.telling.outbox import deliver, due
from triage.telling.rows import tell, withdraw
from triage.telling.watch import watch_reconciler

__all__ = [
    "Decided",
    "deliver",
    "due",
    "listeners",
    "tell",
    "tell_decided",
    "tell_verdict",
    "verdict_key",
    "watch_reconciler",
    "withdraw",
]
