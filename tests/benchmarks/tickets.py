"""The rows that benchmarks run on: labelled files, or tickets of the sample company, the same on every machine."""

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from classifier.formats import jsonl
from classifier.formats.jsonl import FormatError, Row
from classifier.ranked import by_hash
from classifier.text import Document
from triage.demo.samples import Sample
from triage.demo.tickets import generate_history

__all__ = ["Sets", "generated", "lengthened", "load", "raw"]

_HELD_OUT_SHARE = 0.3


class Sets(NamedTuple):
    """Labelled rows to learn from, others to test on, and rows that no article answers."""

    train: list[Row]
    held_out: list[Row]
    outside: list[Row]


def generated(*, train: int, held_out: int, seed: int = 1) -> Sets:
    """So many tickets of each kind, less those that no article answers (about 7 %), which are `outside`.

    What is held out is newer and worded otherwise.
    """
    older, newer = generate_history(seed=seed, n_train=train, n_certify=held_out)
    return Sets(
        train=[_row(sample) for sample in older if sample.truth],
        held_out=[_row(sample) for sample in newer if sample.truth],
        outside=[_row(sample) for sample in (*older, *newer) if not sample.truth],
    )


def lengthened(rows: Sequence[Row], *, times: int = 8) -> list[Row]:
    """One long row for every row: the bodies of it and of the next rows with its label, one after another."""
    by_label: dict[str, list[Row]] = {}
    for row in rows:
        by_label.setdefault(row.label, []).append(row)
    longer = []
    for alike in by_label.values():
        for place, row in enumerate(alike):
            bodies = [alike[(place + step) % len(alike)].document.body for step in range(times)]
            longer.append(row._replace(document=Document(row.document.subject, "\n".join(bodies))))
    return longer


def load(data: Path, *, test: Path | None = None, outside: Sequence[Path] = ()) -> Sets:
    """From a folder (train, test, perhaps valid and oos_*, .jsonl or .jsonl.gz), or from files.

    A single file without a test file is divided by the hash of its texts, 30 % of them to test on. FormatError when
    a file is missing or cannot be used.
    """
    if data.is_dir():
        train, test = _named(data, "train"), test or _named(data, "test")
        outside = outside or sorted(data.glob("oos*.jsonl*"))
        held_out = [row for path in (test, *data.glob("valid.jsonl*")) for row in jsonl.read(path)]
        return Sets(jsonl.read(train), held_out, _outside(outside))
    rows = jsonl.read(data)
    if test:
        return Sets(rows, jsonl.read(test), _outside(outside))
    held_out, rest = by_hash(rows, _HELD_OUT_SHARE, "benchmark")
    return Sets(rest, held_out, _outside(outside))


def raw(rows: Sequence[Row]) -> list[str]:
    """Subject and body as one text each, as anybody would hand them to a library."""
    return [f"{row.document.subject}\n{row.document.body}" for row in rows]


def _outside(paths: Sequence[Path]) -> list[Row]:
    return [row for path in paths for row in jsonl.read(path, labelled=False)]


def _named(folder: Path, name: str) -> Path:
    for path in (folder / f"{name}.jsonl.gz", folder / f"{name}.jsonl"):
        if path.exists():
            return path
    raise FormatError(f"{folder} holds no {name}.jsonl or {name}.jsonl.gz: name the files themselves")


def _row(sample: Sample) -> Row:
    return Row(Document(sample.subject, sample.body), sample.truth or "", sample.language)
