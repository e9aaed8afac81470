"""Which phase follows which, and what all of them together say: the same wherever the phases run.

Standard library only: this is loaded in the child process of every run, which must start fast.
"""

from collections.abc import Callable


def verdict(phase: Callable[[str], tuple[str, str]], *, ready: Callable[[], bool], reversible: bool) -> tuple[str, str]:
    """Lead through all phases; return the status (see `runbooks.outcome.Outcome`) and the sentences for it.

    phase: runs the phase of this name and returns how it went (ok, refused, not_done, error) and the sentence for it.
    ready: asked after the pre-check said yes; False when the action must not start.
    """
    kind, message = phase("pre_check")
    if kind == "refused":
        return "refused", message
    if kind != "ok":
        return "failed", f"the pre-check broke off ({message}); nothing was changed"
    if not ready():
        return "failed", "the run was given up before the action; nothing was changed"
    action, why = phase("action")
    said = "" if action == "ok" else f"The action reported {why}. "
    checked, message = phase("post_check")
    if checked == "ok":
        return "succeeded", f"{said}The post-check found it done."
    said += f"The post-check said: {message}. "
    return _undone(phase, said) if reversible else ("failed", f"{said}This cannot be undone.")


def _undone(phase: Callable[[str], tuple[str, str]], said: str) -> tuple[str, str]:
    """Undo, and let its check decide whether that worked."""
    undone, why = phase("undo")
    if undone != "ok":
        said += f"The undo reported {why}. "
    checked, message = phase("undo_check")
    if checked == "ok":
        return "undone", f"{said}The former state is back."
    return "undo_failed", f"{said}The former state is not back: {message}."
