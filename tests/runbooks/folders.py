"""Writes runbook folders as operators do, for tests."""

from pathlib import Path

DEFINITION = """
key = "stamp"
title = "Write one line into the journal"
owner = "tests"
article_keys = ["KB0042"]
tier = "low"
reversible = true
assurance = "none"
runner = "python"
target_kind = "journal"

[[parameters]]
name = "note"
kind = "text"
title = "the note"
fields = ["note"]
"""

STEPS = '''
"""Write one line; taking it back is another."""

from runbooks.context import Context, NotDone, Refused
from runbooks.targets.journal import Journal


def pre_check(context: Context[Journal]) -> None:
    if context.text("note") == "no":
        raise Refused("the note says no")


def action(context: Context[Journal]) -> None:
    context.target.append(context.run_id, "stamped", context.text("note"))


def post_check(context: Context[Journal]) -> None:
    if not context.target.entries(context.run_id):
        raise NotDone("nothing was written")


def undo(context: Context[Journal]) -> None:
    context.target.append(context.run_id, "withdrawn", "")


def undo_check(context: Context[Journal]) -> None:
    if context.target.entries(context.run_id)[-1].what != "withdrawn":
        raise NotDone("it still stands")
'''


def write(where: Path, key: str = "stamp", *, definition: str = DEFINITION, steps: str = STEPS) -> Path:
    """Make a runbook's folder; the definition's key becomes the folder's name."""
    folder = where / key
    folder.mkdir(parents=True)
    (folder / "runbook.toml").write_text(definition.replace('key = "stamp"', f'key = "{key}"'), encoding="utf-8")
    (folder / "steps.py").write_text(steps, encoding="utf-8")
    return folder
