"""A worker that executes one misbehaving run and says which phase it reached; for tests that kill it.

Arguments: journal, run id, behaviour of the action.
"""

import sys
from pathlib import Path

from runbooks.base import Parameter, Runbook
from runbooks.runners import python
from runbooks.watch import Watch

PHASES = ("pre_check", "action", "post_check", "undo", "undo_check", "folder")

ODD = Runbook(
    key="odd",
    title="Behave as told",
    owner="tests",
    parameters=tuple(Parameter(name=name, kind="text", title=name, required=False, fields=(name,)) for name in PHASES),
    tier="low",
    reversible=True,
    assurance="none",
    folder=Path(__file__).parent,
    target_kind="journal",
)

if __name__ == "__main__":
    outcome = python.execute(
        ODD,
        parameters={"action": sys.argv[3]},
        target={"path": sys.argv[1]},
        run_id=sys.argv[2],
        watch=Watch(on_phase=lambda phase: print(phase, flush=True)),
    )
    print(outcome.status, flush=True)
