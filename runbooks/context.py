"""What a runbook's steps are given and how they answer.

Standard library only: this is loaded in the child process of every run, which must start fast.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Generic, TypeVar

Target = TypeVar("Target")


class Refused(Exception):
    """The pre-check says no, in words for a person; nothing was changed."""


class NotDone(Exception):
    """A check found the target in another state than the one it wants, and says which."""


def _forget(name: str, value: str | int) -> None:
    """Tell nobody; used when steps are called outside a run."""


@dataclass(frozen=True)
class Context(Generic[Target]):
    """One run, as its steps see it.

    target: the client of what may be touched, made for this run; it refuses changes during checks.
    parameters: validated values by name, `str` or, for sizes, `int` (MiB).
    run_id: the identity under which every change is recorded at the target.
    handed: secrets that are this run's alone, such as a one-time link, by name; masked wherever a run is shown.
    memory: what the action noted for the undo (the state before), also shown to a person afterwards.
    """

    target: Target
    parameters: Mapping[str, str | int]
    run_id: str
    handed: Mapping[str, str] = field(default_factory=dict)
    memory: dict[str, str | int] = field(default_factory=dict)
    on_remember: Callable[[str, str | int], None] = _forget

    def text(self, name: str) -> str:
        """Return a text parameter; KeyError when the runbook does not have it."""
        return str(self.parameters[name])

    def number(self, name: str) -> int:
        """Return a number parameter; KeyError when the runbook does not have it, TypeError when it is a text."""
        value = self.parameters[name]
        if not isinstance(value, int):
            raise TypeError(f"the parameter {name} is no number")
        return value

    def remember(self, name: str, value: str | int) -> None:
        """Note the state before a change. Reported at once, so that it outlives a lost run."""
        self.memory[name] = value
        self.on_remember(name, value)
