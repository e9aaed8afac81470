"""The runbooks of the fault runs: each writes one line into a ledger and never looks whether that line is there already.

One in a child process, one as jobs of an AWX. So nothing but the product itself keeps a second effect from happening.
"""

from collections import Counter
from pathlib import Path

from runbooks.targets import journal
from runbooks.targets.journal import Journal

KEY = "write_line"
DEFINITION = """
key = "write_line"
title = "Write one line"
owner = "tests"
tier = "low"
reversible = true
time_limit = 20
undo_time_limit = 20
assurance = "none"
runner = "python"
target_kind = "journal"

[[parameters]]
name = "line"
kind = "text"
title = "the line"
fields = ["line"]

[limits]
runs_an_hour = 1000000
concurrent = 1000000
circuit_failures = 1000000
circuit_runs = 1000000
"""
LAUNCHED = "launch_line"
JOBS = """
[awx]
variables = { line = "line" }
""" + "".join(
    f'[awx.{phase}]\ntemplate = "{phase}"\n' for phase in ("pre_check", "action", "post_check", "undo", "undo_check")
)
STEPS = '''
"""One line into the ledger."""


def pre_check(context):
    """Always yes."""


def action(context):
    """Another line, whatever is there."""
    context.target.append(context.run_id, "effect", context.text("line"))


def post_check(context):
    """Whether this run wrote."""
    assert context.target.entries(context.run_id)


def undo(context):
    """Said, never taken away."""
    context.target.append(context.run_id, "undone", context.text("line"))


def undo_check(context):
    """Never looked at."""
'''


def write(folder: Path) -> Path:
    """The folder of both runbooks, as an operator would keep it."""
    home = folder / "books" / KEY
    home.mkdir(parents=True, mode=0o755)
    (home / "runbook.toml").write_text(DEFINITION, encoding="utf-8")
    (home / "steps.py").write_text(STEPS, encoding="utf-8")
    other = folder / "books" / LAUNCHED
    other.mkdir(mode=0o755)
    text = DEFINITION.replace(f'"{KEY}"', f'"{LAUNCHED}"').replace('"python"', '"awx"').replace('"journal"', '"awx"')
    (other / "runbook.toml").write_text(text.replace("time_limit = 20", "time_limit = 300") + JOBS, encoding="utf-8")
    return home.parent


def ledger(folder: Path) -> Path:
    """An empty ledger."""
    path = folder / "ledger.sqlite3"
    journal.create(path)
    return path


def effects(path: Path) -> Counter[str]:
    """How often each line was written."""
    opened = Journal(path)
    try:
        return Counter(entry.detail for entry in opened.entries() if entry.what == "effect")
    finally:
        opened.close()
