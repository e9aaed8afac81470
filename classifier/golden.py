"""Whether a model still answers as it did when it was saved, tried in a fresh child process before it serves.

`python -m classifier.golden FOLDER` reads the key (hex) from the first line of standard input; exit 0 if every
golden document's ranking repeats, else 1 with the reason on standard error.
"""

import json
import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from classifier.artifact import GOLDEN, ArtifactError, load
from classifier.text import Document

# Another processor may differ in the last bits, which can move the sixth place by one.
_TOLERANCE = 2e-6


def check_in_child(folder: Path, *, key: bytes, seconds: float = 120) -> None:
    """Open the model in a child process and compare; ArtifactError with the child's reason, a signal, or the time."""
    source = str(Path(__file__).resolve().parent.parent)
    paths = os.pathsep.join(filter(None, (source, os.environ.get("PYTHONPATH"))))
    try:
        done = subprocess.run(
            [sys.executable, "-m", "classifier.golden", str(folder.resolve())],
            input=f"{key.hex()}\n",
            env={**os.environ, "PYTHONPATH": paths},
            capture_output=True,
            text=True,
            timeout=seconds,
            check=False,
        )
    except subprocess.TimeoutExpired as error:
        raise ArtifactError(f"{folder.name} did not answer its golden set within {seconds:.0f} s") from error
    if done.returncode:
        reason = done.stderr.strip().splitlines()[-1:] or [f"the process ended with {done.returncode}"]
        raise ArtifactError(f"{folder.name} failed its golden set: {reason[0]}")


def differences(expected: Sequence[Mapping[str, Any]], found: Sequence[Mapping[str, Any]]) -> list[str]:
    """What differs between two lists of rankings (as `Ranking.as_dict` gives them), as sentences."""
    if len(expected) != len(found):
        return [f"{len(expected)} rankings expected, {len(found)} found"]
    return [
        f"document {number}: {what}"
        for number, (one, other) in enumerate(zip(expected, found, strict=True), start=1)
        if (what := _difference(one, other))
    ]


def _difference(expected: Mapping[str, Any], found: Mapping[str, Any]) -> str:
    if expected["line"] != found["line"]:
        return "the text pipeline gives another line"
    labels = [[match["label"] for match in ranking["matches"]] for ranking in (expected, found)]
    if labels[0] != labels[1]:
        return f"articles {labels[0]} expected, {labels[1]} found"
    if expected["evidence"]["sufficient"] != found["evidence"]["sufficient"]:
        return "evidence is judged differently"
    numbers = [
        [ranking["score"], ranking["evidence"]["in_scope"], *(match["probability"] for match in ranking["matches"])]
        for ranking in (expected, found)
    ]
    furthest = max(abs(one - other) for one, other in zip(*numbers, strict=True))
    return f"a number differs by {furthest:.6f}" if furthest > _TOLERANCE else ""


def main(arguments: Sequence[str]) -> int:
    """Compare the golden set of the folder named; 0 or 1 (2 on bad usage)."""
    if len(arguments) != 1:
        print("usage: python -m classifier.golden FOLDER, with the key as hex on standard input", file=sys.stderr)
        return 2
    folder = Path(arguments[0])
    try:
        model = load(folder, key=bytes.fromhex(sys.stdin.readline().strip()))
        golden = json.loads((folder / GOLDEN).read_bytes())
    except (ArtifactError, ValueError) as error:
        print(error, file=sys.stderr)
        return 1
    documents = [Document(**document) for document in golden["documents"]]
    wrong = differences(golden["rankings"], [ranking.as_dict() for ranking in model.rank(documents)])
    if wrong:
        print(f"{len(wrong)} of {len(documents)} answers changed; {wrong[0]}", file=sys.stderr)
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
