"""What would happen if one runbook were run for one ticket now: found, asked, limited, certified, pre-checked.

Nothing is changed but the log, which says that somebody looked.
"""

from triage.rehearsal.rehearsing import NotRehearsed, Rehearsal, as_dict, rehearse, ticket_called

__all__ = ["NotRehearsed", "Rehearsal", "as_dict", "rehearse", "ticket_called"]
