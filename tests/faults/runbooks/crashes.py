"""Workers die at named points, messages come twice and to two dispatchers: what was done, and what people know of it."""

import random
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.faults.runbooks import books, world
from tests.faults.runbooks.world import Dispatchers, World

BATCH = 120
AHEAD = 300
"""Seconds by which a sweep's clock is ahead: every claim of a worker that died has run out by then, nothing else lives."""
JOBS = 0.7
"""The share of the runs elsewhere whose worker dies around a launch, and not at a point of every run."""
LATER = 0.3
"""The share of later tries that die too."""
MOST_ROUNDS, KILLED_ROUNDS = 12, 8
"""How often what is left is tried, and how often at most a try may die: in the end somebody gets through."""


@dataclass
class Killed:
    """How often workers died at each point, and the runs whose worker died while a known job went on."""

    points: Counter[str] = field(default_factory=Counter)
    followed: set[int] = field(default_factory=set)


def run(folder: Path, *, runs: int, seed: int, say: Any) -> dict[str, Any]:
    """So many runs; the figures."""
    rng, killed = random.Random(seed), Killed()
    with world.installed(folder, postgres=True, tower=seed) as found:
        from tests.faults.runbooks import points  # Django is set up now

        order = [name for _ in range(runs // len(points.POINTS) + 1) for name in points.POINTS]
        dispatchers = Dispatchers()
        try:
            for start in range(0, runs, BATCH):
                size = min(BATCH, runs - start)
                _batch(found, dispatchers, order[start : start + size], rng, killed)
                say(f"{start + size} runs, {sum(killed.points.values())} kills")
        finally:
            dispatchers.close()
        points_of = dict(sorted(killed.points.items()))
        return {**measure(found), **_launched(killed), "killed": points_of, "kills": sum(points_of.values())}


def _batch(found: World, dispatchers: Dispatchers, crashes: list[str], rng: random.Random, killed: Killed) -> None:
    from tests.faults.runbooks import points
    from triage.models import Run

    runs = found.request(len(crashes))
    elsewhere = set(Run.objects.filter(pk__in=runs, runbook=books.LAUNCHED).values_list("pk", flat=True))
    messages: list[tuple[int, dict[str, Any]]] = []
    for run, usual in zip(runs, crashes, strict=True):
        crash = rng.choice(list(points.JOB_POINTS)) if run in elsewhere and rng.random() < JOBS else usual
        first = rng.randrange(2)
        messages.append((first, {"run": run, "crash": crash}))
        if rng.random() < 0.5:  # the same message again, to the other dispatcher or to the same
            messages.append((rng.randrange(2), {"run": run, "crash": None if rng.random() < 0.5 else crash}))
    open_ones = Run.objects.filter(pk__in=runs, status__in=["requested", "claimed", "starting"])
    for turn in range(MOST_ROUNDS):
        rng.shuffle(messages)
        _count(dispatchers.send(messages), killed)
        _count(dispatchers.send([(number, _sweep(rng)) for number in (0, 1)]), killed)
        _count(dispatchers.send([(0, {"sweep": AHEAD, "crash": None})]), killed)
        left = list(open_ones.values_list("pk", "status"))
        if not left:
            return
        messages = []
        for run, status in left:
            # Its worker is dead for certain, and its claim has run out for whoever comes later: once, by one worker.
            late = [{"ahead": AHEAD * (turn + 1)}] if run in elsewhere and status == Run.Status.STARTING else [{}, {}]
            messages += [
                (rng.randrange(2), {"run": run, "crash": _again(rng, turn, elsewhere=run in elsewhere), **more})
                for more in late
            ]


def _again(rng: random.Random, turn: int, *, elsewhere: bool) -> str | None:
    from tests.faults.runbooks import points

    chosen = [*points.POINTS, *(points.JOB_POINTS if elsewhere else ())]
    return rng.choice(chosen) if turn < KILLED_ROUNDS and rng.random() < LATER else None


def _sweep(rng: random.Random) -> dict[str, Any]:
    from tests.faults.runbooks import points

    return {"sweep": AHEAD, "crash": rng.choice(list(points.SWEEPS))}


def _count(answers: list[dict[str, Any]], killed: Killed) -> None:
    from tests.faults.runbooks import points

    for answer in answers:
        assert not answer["failed"], f"this raised: {answer}"
        if answer["killed"]:
            killed.points[answer["crash"]] += 1
            if answer["crash"] in points.FOLLOWED:
                killed.followed.add(answer["run"])


def _launched(killed: Killed) -> dict[str, Any]:
    """What became of the runs that were jobs elsewhere; none whose job was known may end as unknown."""
    from triage.models import Run

    rows = Run.objects.filter(runbook=books.LAUNCHED)
    lost = rows.filter(pk__in=killed.followed, status=Run.Status.UNKNOWN)
    return {
        "launched": dict(Counter(rows.values_list("status", flat=True))),
        "followed_after_a_death": len(killed.followed),
        "unknown_though_followed": lost.count(),
    }


def measure(found: World) -> dict[str, Any]:
    """The rows held against the ledger."""
    from triage.models import Notification, Run, Ticket

    lines = found.effects()
    rows = list(Run.objects.of(found.customer).select_related("ticket"))
    unknown = [row for row in rows if row.status == Run.Status.UNKNOWN]
    told = set(Notification.objects.filter(kind="run_unknown").values_list("key", flat=True))
    known = [
        row for row in unknown if row.ticket.status == Ticket.Status.NEEDS_REVIEW and f"run-{row.uuid}-unknown" in told
    ]
    done = {row.parameters["line"] for row in rows if row.status == Run.Status.SUCCEEDED}
    asked = [row for row in rows if row.status in (Run.Status.UNKNOWN, Run.Status.VOID)]
    asked = [row for row in asked if row.ticket.status == Ticket.Status.NEEDS_REVIEW]
    moving = [Ticket.Status.QUEUED, Ticket.Status.RUNNING, Ticket.Status.CLASSIFIED, Ticket.Status.LINKED]
    live = Run.objects.of(found.customer).filter(status__in=["requested", "claimed", "starting"])
    return {
        "runs": len(rows),
        "statuses": dict(Counter(row.status for row in rows)),
        "effects": sum(lines.values()),
        "double_effects": sum(count > 1 for count in lines.values()),
        "unresolved": live.count() + Ticket.objects.of(found.customer).filter(status__in=moving).count(),
        "unknown": len(unknown),
        "unknown_to_person": round(len(known) / len(unknown), 4) if unknown else 1.0,
        "said_done_and_was_not": len(done - set(lines)),
        "was_done_and_nobody_asks": len(set(lines) - done - {row.parameters["line"] for row in asked}),
    }
