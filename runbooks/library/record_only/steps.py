"""Write one journal entry for this run; taking it back is another entry."""

from runbooks.context import Context, NotDone, Refused
from runbooks.targets.journal import Journal

WOULD_RUN = "would run"
WITHDRAWN = "withdrawn"


def _counts(context: Context[Journal]) -> tuple[int, int]:
    whats = [entry.what for entry in context.target.entries(context.run_id)]
    return whats.count(WOULD_RUN), whats.count(WITHDRAWN)


def pre_check(context: Context[Journal]) -> None:
    """Refuse a run that stands in the journal already."""
    if context.target.entries(context.run_id):
        raise Refused("this run is already in the journal")


def action(context: Context[Journal]) -> None:
    """Write the entry."""
    context.target.append(context.run_id, WOULD_RUN, str(context.parameters.get("article", "")))


def post_check(context: Context[Journal]) -> None:
    """Exactly one entry must stand there."""
    written, withdrawn = _counts(context)
    if (written, withdrawn) != (1, 0):
        raise NotDone(f"the journal has {written} entries of this run, {withdrawn} of them withdrawn; 1 and 0 expected")


def undo(context: Context[Journal]) -> None:
    """Withdraw what is not withdrawn yet."""
    written, withdrawn = _counts(context)
    for _ in range(written - withdrawn):
        context.target.append(context.run_id, WITHDRAWN, "")


def undo_check(context: Context[Journal]) -> None:
    """Every entry must be withdrawn."""
    written, withdrawn = _counts(context)
    if written != withdrawn:
        raise NotDone(f"{written - withdrawn} entries of this run are not withdrawn")
