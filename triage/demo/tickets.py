"""The tickets of the sample company: labelled history to learn from, and a stream of new ones worded otherwise.

Everything follows from the seed: equal arguments give equal tickets on every machine.
"""

import random
from collections.abc import Sequence
from dataclasses import replace

from runbooks.targets.directory import Account
from triage.demo import accounts
from triage.demo.desk import Desk
from triage.demo.likeness import near_duplicate_share
from triage.demo.phrases import Pool, lexicon
from triage.demo.samples import Sample, stamp

__all__ = ["CERTIFIED_FROM", "TRAINED_FROM", "Sample", "generate", "generate_history", "near_duplicate_share"]

DAY = 86_400
TRAINED_FROM, CERTIFIED_FROM = -180 * DAY, -60 * DAY
"""Offsets (seconds, the stream begins at 0) at which the history, and its newest part, begin."""

_STREAM_GAP = 12.0
_STORMY = 0.04
"""Share of alerts that come as a storm: again and again until somebody looks."""

_PREFIXES = {Pool.TRAIN: "HIS", Pool.CERTIFY: "REC", Pool.STREAM: "INC"}


def generate(*, seed: int, n: int, stream: bool, people: Sequence[Account] | None = None) -> list[Sample]:
    """`n` tickets in order of time: of the stream, or of the history that a model may learn from.

    `people` is the directory whose accounts ask, by default that of `accounts.people()`. ValueError for n < 0.
    """
    return _batch(seed, n, Pool.STREAM if stream else Pool.TRAIN, people)


def generate_history(
    *, seed: int, n_train: int, n_certify: int, people: Sequence[Account] | None = None
) -> tuple[list[Sample], list[Sample]]:
    """History to learn from, and newer history to certify on, which is worded otherwise as the stream is."""
    return _batch(seed, n_train, Pool.TRAIN, people), _batch(seed, n_certify, Pool.CERTIFY, people)


def _batch(seed: int, n: int, pool: Pool, people: Sequence[Account] | None) -> list[Sample]:
    if n < 0:
        raise ValueError(f"{n} tickets cannot be made: ask for 0 or more")
    # The random module turns a text into the same state on every machine (SHA-512), unlike hash().
    rng = random.Random(f"{pool}:{seed}")
    desk = Desk(lexicon(pool), accounts.people() if people is None else people, rng)
    made: list[Sample] = []
    for offset in _offsets(pool, n, rng):
        if len(made) >= n:
            break
        first = desk.ticket(offset)
        stormy = first.actor == "machine" and rng.random() < _STORMY
        made += _storm(first, rng) if stormy else [first]
    made = sorted(made[:n], key=lambda sample: sample.offset)
    return [replace(sample, external_id=f"{_PREFIXES[pool]}{number:07}") for number, sample in enumerate(made, 1)]


def _offsets(pool: Pool, n: int, rng: random.Random) -> list[int]:
    if pool is Pool.STREAM:
        at, offsets = 0.0, []
        for _ in range(n):
            offsets.append(int(at))
            at += rng.expovariate(1 / _STREAM_GAP)
        return offsets
    first, last = (TRAINED_FROM, CERTIFIED_FROM) if pool is Pool.TRAIN else (CERTIFIED_FROM, 0)
    return [rng.randrange(first, last) for _ in range(n)]


def _storm(first: Sample, rng: random.Random) -> list[Sample]:
    """The same alert five to twelve times within a minute; nothing differs but the time in its text."""
    before, copies = stamp(first.offset), [first]
    for _ in range(rng.randint(4, 11)):
        offset = copies[-1].offset + rng.randint(1, 5)
        copies.append(replace(first, offset=offset, body=first.body.replace(before, stamp(offset))))
    return copies
