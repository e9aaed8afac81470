"""What a run's child says, understood: phases, the state before, the verdict, and its bounded output."""

import codecs
import json
import os
import re
import signal
from collections.abc import Callable, Mapping
from typing import Any, cast, get_args

from runbooks.outcome import OUTPUT_LIMIT, Outcome, Phase, PhaseResult, Status
from runbooks.watch import PIECE

LINE_LIMIT = 65536
REMEMBERED_LIMIT = 50
TEXT_LIMIT = 2000

LONGEST_SECRET = 4096

_PHASES = get_args(Phase)
_STATUSES = get_args(Status)
_RUN_ID = re.compile(r"[A-Za-z0-9-]{1,64}")
_SECRET_WORDS = ("password", "secret", "token", "key", "credential")


def check_id(run_id: str) -> None:
    """Raise ValueError unless this can be a run's identity wherever it is recorded."""
    if not _RUN_ID.fullmatch(run_id):
        raise ValueError(f"run_id {run_id!r}: use 1 to 64 letters, digits and hyphens")


def cleaner(target: Mapping[str, str]) -> Callable[[str], str]:
    """Return a function that makes text storable anywhere and takes the target's credentials out of it."""
    secrets = [
        value for name, value in target.items() if len(value) >= 4 and any(w in name.lower() for w in _SECRET_WORDS)
    ]
    # A key of several lines is shown in lines.
    secrets += [line for value in secrets if "\n" in value for line in value.splitlines() if len(line) >= 8]
    # The longest first: a credential may contain another.
    secrets.sort(key=len, reverse=True)

    def clean(text: str) -> str:
        text = text.encode("utf-8", "replace").decode().replace("\0", "?").replace("\ufffd", "?")
        for value in secrets:
            # As short as the shortest of them, so that the text never grows.
            text = text.replace(value, "****")
        return text

    return clean


class Output:
    """Everything the child wrote, at most 1 MiB: the head and the tail, and how much was cut between."""

    _HALF = OUTPUT_LIMIT // 2 - 100

    def __init__(self) -> None:
        self._head = bytearray()
        self._tail = bytearray()
        self._cut = 0

    def add(self, data: bytes) -> None:
        """Take the next piece."""
        room = self._HALF - len(self._head)
        self._head += data[:room] if room > 0 else b""
        self._tail += data[max(room, 0) :]
        if len(self._tail) > 2 * self._HALF:
            self._trim()

    def _trim(self) -> None:
        extra = len(self._tail) - self._HALF
        if extra > 0:
            self._cut += extra
            del self._tail[:extra]

    def text(self) -> str:
        """Return the text; bytes that are no UTF-8 become question marks, so it never grows."""
        self._trim()
        middle = f"\n[... {self._cut} bytes cut ...]\n".encode() if self._cut else b""
        return bytes(self._head + middle + self._tail).decode("utf-8", "replace").replace("\ufffd", "?")


class Live:
    """The same output in pieces while it comes: whole lines as far as there are any, secrets masked.

    After `OUTPUT_LIMIT / 2` characters only a sentence follows: the rest stands in the run's log when it has ended.
    """

    MORE = "\n[... more follows when the run has ended ...]\n"

    def __init__(self, clean: Callable[[str], str]) -> None:
        self._clean = clean
        self._decoder = codecs.getincrementaldecoder("utf-8")("replace")
        self._waiting = ""
        self._room = OUTPUT_LIMIT // 2

    def add(self, data: bytes) -> None:
        """Take the next bytes."""
        if self._room > 0:
            self._waiting += self._decoder.decode(data)
            # What would not be shown any more need not be kept either.
            self._waiting = self._waiting[: self._room + PIECE]

    def pieces(self) -> list[str]:
        """Return what can be shown now: up to the last end of a line, since a secret never goes over one."""
        whole = self._waiting.rfind("\n") + 1
        if not whole and len(self._waiting) > PIECE:
            whole = len(self._waiting) - LONGEST_SECRET  # half of a secret would not be masked
        return self._cut(whole)

    def rest(self) -> list[str]:
        """Return all that is left."""
        return self._cut(len(self._waiting))

    def _cut(self, length: int) -> list[str]:
        if self._room <= 0 or not length:
            return []
        text, self._waiting = self._clean(self._waiting[:length]), self._waiting[length:]
        shown = text[: self._room]
        self._room -= len(shown)
        pieces = [shown[start : start + PIECE] for start in range(0, len(shown), PIECE)]
        if self._room <= 0:
            self._waiting = ""
            pieces.append(self.MORE)
        return pieces


class Conversation:
    """The JSON lines of one child, in the order they came."""

    def __init__(self) -> None:
        self.phase: Phase = "start"
        self.begun: list[Phase] = []
        self.results: list[PhaseResult] = []
        self.remembered: dict[str, str | int] = {}
        self.ready = False
        self.allowed = False
        self.broken = False
        self.verdict: tuple[Status, str] | None = None
        self.ending: dict[str, Any] = {}
        self._rest = b""

    def feed(self, data: bytes) -> None:
        """Take the next bytes; what can't be understood sets `broken`."""
        *lines, self._rest = (self._rest + data).split(b"\n")
        for line in lines:
            try:
                self._understand(json.loads(line))
            except (ValueError, KeyError, TypeError, RecursionError):
                self.broken = True
        if len(self._rest) > LINE_LIMIT:
            self.broken = True
            self._rest = b""

    def _understand(self, line: dict[str, Any]) -> None:
        kind = line["type"]
        if kind == "begin":
            self.phase = _phase(line["phase"])
            self.begun.append(self.phase)
        elif kind == "end":
            message = str(line["message"])[:TEXT_LIMIT]
            seconds = float(line["seconds"])
            self.results.append(PhaseResult(_phase(line["phase"]), line["ok"] is True, message, seconds))
        elif kind == "remember" and len(self.remembered) < REMEMBERED_LIMIT:
            value = line["value"]
            self.remembered[str(line["name"])[:100]] = value if isinstance(value, int) else str(value)[:TEXT_LIMIT]
        elif kind == "ready":
            self.ready = True
        elif kind == "verdict" and line["status"] in _STATUSES:
            self.verdict = (cast("Status", line["status"]), str(line["message"])[: 4 * TEXT_LIMIT])
        elif kind == "exit":
            self.ending = line

    def outcome(self, clean: Callable[[str], str], output: Output, returncode: int | None, over: str) -> Outcome:
        """Return how the run ended, as far as anybody can know."""
        if self.verdict is not None:
            status, message = self.verdict
        else:
            how = over or self._death(returncode)
            status = "unknown" if self.allowed else "failed"
            known = "nobody knows what was done: look at the target first" if self.allowed else "nothing was changed"
            message = f"{how} during {self.phase.replace('_', '-')}; {known}"
        if self.ending.get("left") and self.verdict is not None:
            message += f" {self.ending['left']} processes that it left behind were ended."
        return Outcome(
            status=status,
            phase=self.phase,
            message=clean(message),
            phases=tuple(PhaseResult(r.phase, r.ok, clean(r.message), r.seconds) for r in self.results),
            output=clean(output.text()),
            remembered={clean(k): clean(v) if isinstance(v, str) else v for k, v in self.remembered.items()},
        )

    def _death(self, returncode: int | None) -> str:
        if self.ending.get("why"):
            return f"the run was ended ({self.ending['why']})"
        status = self.ending.get("status")
        if status is None:
            return f"the process that guards the run ended by itself (code {returncode})"
        if os.WIFSIGNALED(status):
            return f"the process was killed by {_signal_name(os.WTERMSIG(status))}"
        return f"the process ended without a verdict (exit code {os.waitstatus_to_exitcode(status)})"


def _signal_name(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"


def _phase(name: str) -> Phase:
    if name not in _PHASES:
        raise ValueError(f"no phase {name!r}")
    return cast("Phase", name)
