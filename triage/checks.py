"""System checks: what would fail at 3 a.m. fails at the start instead."""

from django.core.checks import CheckMessage, Error, register


def register_all() -> None:
    """Called once when the app is ready."""
    register(runbooks_are_sound, "triage")


def runbooks_are_sound(**_: object) -> list[CheckMessage]:
    """Every runbook of the registry loads and its digests can be made."""
    from runbooks.registry import RUNBOOKS

    problems: list[CheckMessage] = []
    for key, runbook in RUNBOOKS.items():
        if not runbook.selection_digest or not runbook.action_digest:
            problems.append(Error(f"runbook {key} has no digest", id="triage.E001"))
    return problems
