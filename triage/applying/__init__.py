"""Many customers from one file: read it, plan what would change, carry the plan out, write down what is there."""

from triage.applying.carrying import Applied, Made, PlanChanged, carry_out, plan
from triage.applying.export import exported
from triage.applying.plan import Change, Plan
from triage.applying.reading import DocumentInvalid, Read, load, read

__all__ = [
    "Applied",
    "Change",
    "DocumentInvalid",
    "Made",
    "Plan",
    "PlanChanged",
    "Read",
    "carry_out",
    "exported",
    "load",
    "plan",
    "read",
]
