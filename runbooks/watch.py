"""What the caller of a run hears while it goes on, and how it says that the run must end."""

from collections.abc import Callable
from dataclasses import dataclass

PIECE = 16 * 1024
"""Characters that one piece of live output has at most."""


class Left(Exception):
    """Somebody else goes on with the run: whoever follows it must leave it as it is and end nothing."""


def _nothing(*_: str) -> None:
    """Hear it and do nothing."""


@dataclass(frozen=True, kw_only=True)
class Watch:
    """on_start: called once, after the pre-check said yes and before the action may start. When it raises, the action
      never starts and the exception goes on to the caller.
    on_phase: called with the name of each phase as it begins. on_output: called with pieces of what the run writes,
      as it writes them, at most 16 Ki characters each, secrets masked. What these two raise is logged and goes no
      further: a page that shows progress must not end an action half-way.
    on_job: called by runners whose jobs run elsewhere, before and after each job is launched, with a text that lets
      another process go on (the argument `job` of a runner). When it raises, nothing more is launched and the
      exception goes on to the caller.
    stop: asked about once a second; an answer that is not empty says why the run must end now. From it and from
      on_job a runner whose jobs run elsewhere lets `Left` through.
    """

    on_start: Callable[[], None] = _nothing
    on_phase: Callable[[str], None] = _nothing
    on_output: Callable[[str], None] = _nothing
    on_job: Callable[[str], None] = _nothing
    stop: Callable[[], str] = lambda: ""


QUIET = Watch()
