"""Hostile values against every runner: through the product's door, and past it, where the runner alone must hold.

Past the door means that nothing of `parameters.typed` is asked, in this process only. What a runner lets through must
arrive byte for byte as data; a file that was made or a connection that came is a canary that sang.
"""

import contextlib
import uuid
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from itertools import chain
from pathlib import Path
from typing import Any

from runbooks import parameters
from runbooks.base import Runbook
from runbooks.runners import ansible, python
from runbooks.targets.journal import Journal
from tests.faults.runbooks import books, hostile, launched, payloads, shipped
from tests.faults.runbooks.payloads import Canary

AT_ONCE = 2
SIGNS = ("{{", "{%", "{#", "${", "@option.", "$encrypted$")
"""What systems elsewhere act on: such payloads are tried alone, so that few launches have to be halved."""
HARMLESS = "plain-7"
CARELESS = 24
"""So many payloads are given to a runbook that pastes them into a shell's line, so that a canary that cannot sing is seen."""


@dataclass
class Figures:
    """refused: never reached what would act on them. reached: arrived. altered: arrived, but not byte for byte."""

    payloads: int = 0
    refused: int = 0
    reached: int = 0
    altered: int = 0
    runs: int = 0

    def add(self, other: "Figures") -> None:
        """Count the other's too."""
        for name, number in vars(other).items():
            setattr(self, name, getattr(self, name) + number)


def run(folder: Path, *, runs: int, seed: int, say: Any) -> dict[str, Any]:
    """So many payloads against every runner; the figures of each, and what the canaries saw while it worked."""
    found: dict[str, Any] = {"payloads": runs}
    total = {"files": 0, "connections": 0}
    with payloads.canary(folder / "sung") as proof:
        found["self_test"] = _self_test(folder, proof, payloads.made(1_000, proof, seed=seed))
    for name, tried in _RUNNERS.items():
        (folder / name).mkdir()
        with payloads.canary(folder / name / "canary") as bird:
            given = payloads.made(runs, bird, seed=seed)
            through, past = tried(folder / name, given)
            sang = bird.tripped()
        found[name] = {"through": asdict(through), "past": asdict(past), "canaries": sang}
        total = {kind: total[kind] + number for kind, number in sang.items()}
        say(f"{name}: {found[name]}")
    (folder / "shipped").mkdir()
    with payloads.canary(folder / "shipped" / "canary") as bird:
        found["shipped"] = shipped.run(folder / "shipped", payloads.made(runs, bird, seed=seed), bypassed=bypassed)
        found["shipped"]["canaries"] = bird.tripped()
    total = {kind: total[kind] + number for kind, number in found["shipped"]["canaries"].items()}
    say(f"shipped: {found['shipped']}")
    acted = found["shipped"]["started"] + found["shipped"]["effects"]
    return {
        **found,
        "canaries": total,
        "acted": acted,
        "altered": sum(found[name]["past"]["altered"] for name in _RUNNERS),
    }


@contextlib.contextmanager
def bypassed() -> Iterator[None]:
    """Runners get any text, as if nothing had ever looked at it."""
    kept = parameters.typed
    parameters.typed = _untyped
    try:
        yield
    finally:
        parameters.typed = kept


def _untyped(runbook: Runbook, values: Mapping[str, str]) -> dict[str, str | int]:
    """Whatever was given; a size that is plainly good is a number, so that others beside it are really tried."""
    sizes = {parameter.name for parameter in runbook.parameters if parameter.kind == "size_mb"}
    return {
        name: int(value) if name in sizes and value in shipped.GOOD.values() else value
        for name, value in values.items()
    }


def door(runbook: Runbook, name: str, payload: str, *, others: Mapping[str, str] | None = None) -> str:
    """What is left of a payload as this parameter's value; empty where the door keeps it out.

    As the field that is named for it; a text of the ticket is never the value of a `text`.
    """
    empty: dict[str, object] = {}
    if payload != HARMLESS:
        assert door(runbook, name, HARMLESS, others=others) == HARMLESS, (
            "a door that lets nothing through proves nothing"
        )
    text = f"{name}: {payload}"
    read = parameters.extract(runbook, fields=empty, requester="ada@corp.example", subject=payload, body=text)
    assert name not in read.values, f"the text became {name}"
    fields = {**(others or {}), name: payload}
    found = parameters.extract(runbook, fields=fields, requester="ada@corp.example", subject="x", body="x")
    if parameters.validate(runbook, found, directory=None, requester="ada@corp.example"):
        return ""
    return found.values.get(name, "")


def _self_test(folder: Path, bird: Canary, given: list[str]) -> dict[str, int]:
    """A runbook that gives its values to a shell must make the canaries sing."""
    careless = hostile.python(folder / "careless", careless=True)
    ledger = books.ledger(folder / "careless")
    chosen = [payload for payload in given if payload.startswith(("$(", "`", "; ", "| ", "&& "))][:CARELESS]
    with bypassed():
        values = dict(zip(hostile.NAMES, chosen, strict=False))
        outcome = python.execute(careless, parameters=values, target={"path": str(ledger)}, run_id=str(uuid.uuid4()))
    assert outcome.status == "succeeded", outcome
    sang = bird.tripped()
    assert sang["files"], "no payload makes a file where a shell reads it: the canary is dumb"
    assert sang["connections"], "no payload connects where a shell reads it: the canary is dumb"
    return {"payloads": len(chosen), **sang}


Straight = Callable[[list[str]], Figures]


def _both(runbook: Runbook, given: list[str], straight: Straight) -> tuple[Figures, Figures]:
    """Through the door, then all of them past it: forty at once, and alone what no argument can hold."""
    kept = [payload for payload in given if door(runbook, hostile.NAMES[0], payload) == payload]
    through = Figures(payloads=len(given), refused=len(given) - len(kept))
    with ThreadPoolExecutor(AT_ONCE) as pool:
        for one in pool.map(straight, payloads.batches(kept, hostile.MANY)):
            one.payloads = 0
            through.add(one)
        past = Figures()
        with bypassed():
            borne = [payload for payload in given if payloads.bearable(payload)]
            alone = [[payload] for payload in given if not payloads.bearable(payload)]
            for one in pool.map(straight, chain(payloads.batches(borne, hostile.MANY), alone)):
                past.add(one)
    return through, past


def _python(folder: Path, given: list[str]) -> tuple[Figures, Figures]:
    """Real child processes; each value is an argument of another program, a row and a line."""
    runbook, ledger = hostile.python(folder), books.ledger(folder)

    def straight(batch: list[str]) -> Figures:
        run_id = str(uuid.uuid4())
        values = dict(zip(hostile.NAMES, batch, strict=False))
        outcome = python.execute(runbook, parameters=values, target={"path": str(ledger)}, run_id=run_id)
        assert outcome.status == "succeeded" or len(batch) == 1, outcome
        arguments = [payload for payload in batch if payloads.bearable(payload)]
        opened = Journal(ledger)
        rows = [entry.detail for entry in opened.entries(run_id)]
        opened.close()
        same = outcome.remembered == {"arguments": hostile.digest(arguments), "values": hostile.digest(batch)}
        return Figures(len(batch), 0, len(batch), 0 if same and rows == arguments else len(batch), 1)

    return _both(runbook, given, straight)


def _ansible(folder: Path, given: list[str]) -> tuple[Figures, Figures]:
    """Real plays on this machine; each value is an argument, in a template, an item, in a condition and in a name."""
    runbook = hostile.ansible(folder)
    kept = folder / "kept"
    kept.mkdir()
    target = {
        "hosts": '{"here": {"connection": "local"}}',
        "folders": f'{{"kept": {{"path": "{kept}", "older_than_days": 1}}}}',
    }

    def straight(batch: list[str]) -> Figures:
        run_id = str(uuid.uuid4())
        values = {"host": "here", **dict(zip(hostile.NAMES, batch, strict=False))}
        outcome = ansible.execute(runbook, parameters=values, target=target, run_id=run_id)
        if not payloads.bearable(batch[0]):
            assert (outcome.status, outcome.changed_nothing) == ("failed", True), outcome
            return Figures(1, 1, 0, 0, 1)
        assert outcome.status == "succeeded", outcome
        same = outcome.remembered["arguments"] == hostile.digest(batch)
        same = same and (kept / run_id).read_bytes() == "\x1e".join(batch).encode()
        return Figures(len(batch), 0, len(batch), 0 if same else len(batch), 1)

    return _both(runbook, given, straight)


def _remote(name: str) -> Callable[[Path, list[str]], tuple[Figures, Figures]]:
    """What a system elsewhere is sent: forty values in one launch, alone where a launch is refused."""

    def tried(folder: Path, given: list[str]) -> tuple[Figures, Figures]:
        through = Figures(len(given))
        past = Figures()
        with launched.system(name, folder) as system:
            kept = [payload for payload in given if door(system.runbook, hostile.NAMES[0], payload)]
            for batch in payloads.batches(kept, hostile.MANY):
                through.add(_launched(system, batch))
            through.payloads = len(given)
            through.refused += len(given) - len(kept)
            with bypassed():
                plain = [
                    payload for payload in given if payload.isprintable() and not any(sign in payload for sign in SIGNS)
                ]
                for batch in payloads.batches(plain, hostile.MANY):
                    past.add(_launched(system, batch))
                for payload in (one for one in given if one not in plain):
                    past.add(_launched(system, [payload]))
                for payload in given[:: launched.HOSTS_SHARE[name]]:
                    past.add(_figures(1, system.launch({"machine": payload})))
        return through, past

    return tried


def _launched(system: launched.System, batch: list[str]) -> Figures:
    """Those of the batch that arrive, found by halves where one of them is refused."""
    arrived = system.launch(dict(zip(hostile.NAMES, batch, strict=False)))
    found = _figures(len(batch), arrived)
    if arrived[0] or len(batch) == 1:
        return found
    halves = Figures(runs=1)
    for half in (batch[::2], batch[1::2]):
        halves.add(_launched(system, half))
    return halves


def _figures(count: int, launch: tuple[bool, bool]) -> Figures:
    arrived, same = launch
    return Figures(count, count * (not arrived), count * arrived, count * (arrived and not same), 1)


_RUNNERS: Mapping[str, Callable[[Path, list[str]], tuple[Figures, Figures]]] = {
    "python": _python,
    "ansible": _ansible,
    **{name: _remote(name) for name in launched.SYSTEMS},
}
