"""The rows behind a certificate: thinned when they were drawn unequally, exported, and recomputed without ticket text.

An export holds the registration and, for each drawn row, only what the arithmetic needs, so that whoever doubts a
certificate can repeat it elsewhere and offline.
"""

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from classifier.bounds import NotCertifiable
from classifier.certificate import Verdict, continuous_look, one_look
from classifier.registration import Registration

FORMAT = 1


@dataclass(frozen=True, kw_only=True)
class DrawnRow:
    """One drawn ticket: its cluster (a hash, no text), score in 0..1, verdict (None: unanswered by its deadline, which
    counts as wrong) and the probability with which its cluster was drawn, stored at the draw.
    """

    cluster: str
    score: float
    wrong: bool | None
    probability: float

    def __post_init__(self) -> None:
        if not self.cluster:
            raise ValueError("a drawn row needs the id of its cluster")
        if not 0.0 <= self.probability <= 1.0:
            raise ValueError(f"cluster {self.cluster}: the draw probability must lie in 0..1, not {self.probability!r}")
        if self.probability == 0.0:
            raise NotCertifiable(
                f"cluster {self.cluster} could never have been drawn (probability 0), so nothing drawn speaks for it: "
                "give every ticket that this gate may run a draw probability above 0 and draw anew"
            )


def thinned(rows: Iterable[DrawnRow], *, floor: float | None, seed: str) -> list[DrawnRow]:
    """The rows as if all had been drawn with probability `floor`, in the same order (step P7).

    A cluster drawn with probability pi is kept with probability floor / pi, decided by sha256 of the seed and its
    id and so by nothing that a verdict could touch; the exact binomial tail holds for what is left. Without a
    floor all probabilities must be equal and every row is kept. ValueError when a row lies below the floor.
    """
    rows = list(rows)
    probabilities = {row.cluster: row.probability for row in rows}
    if any(probabilities[row.cluster] != row.probability for row in rows):
        raise ValueError("a cluster is drawn as one: its rows must carry one draw probability")
    if floor is None:
        if len(set(probabilities.values())) > 1:
            raise ValueError("the rows were drawn with unequal probabilities: register a draw_floor to thin them to")
        return rows
    if probabilities and min(probabilities.values()) < floor:
        raise ValueError(f"a row was drawn with probability {min(probabilities.values()):g}, below the floor {floor:g}")
    return [row for row in rows if fraction(seed, row.cluster) * row.probability < floor]


def fraction(seed: str, name: str) -> float:
    """A number in [0, 1), uniform over names, repeatable, and independent for different seeds."""
    return int.from_bytes(hashlib.sha256(f"{seed}\n{name}".encode()).digest()[:7], "big") / 256**7


def withdrawn_alike(*, drawn: tuple[int, int], undrawn: tuple[int, int]) -> bool:
    """May tickets withdrawn before their verdict be left out? Only while drawn ones are withdrawn like the others.

    Each pair is (withdrawn, all). Fisher's exact test at 5 %: when it finds a difference the answer is no, and
    they count as wrong like every missing verdict (step P1).
    """
    from scipy import stats

    counts = [[withdrawn, everything - withdrawn] for withdrawn, everything in (drawn, undrawn)]
    return bool(stats.fisher_exact(counts).pvalue >= 0.05)


def look(registration: Registration, rows: Sequence[DrawnRow]) -> Verdict:
    """The registered look at rows in draw order: thinned, then the first n clusters (all, for continuous looks).

    NotCertifiable when fewer than n clusters were drawn yet; opening them sooner would be a second look.
    """
    kept = thinned(rows, floor=registration.draw_floor, seed=registration.hash)
    if registration.n is not None:
        first = list(dict.fromkeys(row.cluster for row in kept))[: registration.n]
        if len(first) < registration.n:
            raise NotCertifiable(
                f"registered is one look at {registration.n} drawn clusters, and {len(first)} are there: wait for more",
                needed=registration.n,
            )
        opened = set(first)
        kept = [row for row in kept if row.cluster in opened]
    test = continuous_look if registration.n is None else one_look
    return test(
        registration,
        scores=[row.score for row in kept],
        wrong=[row.wrong for row in kept],
        clusters=[row.cluster for row in kept],
    )


def exported(registration: Registration, rows: Iterable[DrawnRow]) -> dict[str, Any]:
    """Plain JSON values from which `recompute` repeats the verdict: no ticket text, rows in draw order."""
    return {"format": FORMAT, "registration": registration.as_dict(), "rows": [asdict(row) for row in rows]}


def recompute(export: Mapping[str, Any]) -> Verdict:
    """The verdict from an export alone; ValueError saying what is wrong with one that cannot be read."""
    if export.get("format") != FORMAT:
        raise ValueError(f"this is no export of format {FORMAT}: found {export.get('format')!r}")
    registration = Registration.from_dict(export["registration"])
    return look(registration, [_row(number, row) for number, row in enumerate(export["rows"], start=1)])


def _row(number: int, row: Mapping[str, Any]) -> DrawnRow:
    if odd := set(row).symmetric_difference(DrawnRow.__dataclass_fields__):
        raise ValueError(f"row {number}: {', '.join(sorted(odd))} missing or unknown")
    if type(row["cluster"]) is not str:
        raise ValueError(f"row {number}: cluster must be text, not {row['cluster']!r}")
    if type(row["wrong"]) not in {bool, type(None)}:
        raise ValueError(f"row {number}: wrong must be true, false or null, not {row['wrong']!r}")
    return DrawnRow(**row)
