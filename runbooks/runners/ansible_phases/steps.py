"""The phases of every Ansible runbook: each plays the task file of its name on the run's one host."""

from runbooks.context import Context
from runbooks.targets.plays import Plays


def pre_check(context: Context[Plays]) -> None:
    """Play pre_check.yml; an assertion that does not hold is a refusal."""
    context.target.play("pre_check", context)


def action(context: Context[Plays]) -> None:
    """Play action.yml."""
    context.target.play("action", context)


def post_check(context: Context[Plays]) -> None:
    """Play post_check.yml; at least one assertion must hold, and none may fail."""
    context.target.play("post_check", context)


def undo(context: Context[Plays]) -> None:
    """Play undo.yml."""
    context.target.play("undo", context)


def undo_check(context: Context[Plays]) -> None:
    """Play undo_check.yml; at least one assertion must hold, and none may fail."""
    context.target.play("undo_check", context)
