"""Counts kept beside the rows, so that pages over hundreds of thousands of tickets are drawn from a few hundred rows.

Every count is made anew from the rows, never added to: a lost or doubled pass changes nothing, and emptied tables
fill again by themselves. The reconciler calls `keep`.
"""

from triage.counting.hours import COLUMNS, OUTCOMES
from triage.counting.keeping import EVERY, HOURS, SLOW, all_anew, counted_at, keep

__all__ = ["COLUMNS", "EVERY", "HOURS", "OUTCOMES", "SLOW", "all_anew", "counted_at", "keep"]
