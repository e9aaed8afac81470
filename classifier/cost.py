"""What a classifier costs to run: microseconds a ticket and bytes of its artefact."""

import os
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from threadpoolctl import threadpool_limits

from classifier import artifact
from classifier.estimator import ArticleClassifier
from classifier.text import Document

_BATCH = 1000


def measured(model: ArticleClassifier, documents: Sequence[Document]) -> dict[str, float]:
    """Speed and size, as an evaluation tells them."""
    return {
        "us_per_ticket": round(microseconds(model, documents), 1),
        "model_bytes": model_bytes(model, documents[:20]),
    }


def microseconds(model: ArticleClassifier, documents: Sequence[Document], *, batches: int = 5) -> float:
    """Microseconds a ticket from raw text to decision, on one core: the median of batches of 1,000."""
    taken = []
    with threadpool_limits(limits=1):
        for number in range(batches):
            batch = [documents[(number * _BATCH + place) % len(documents)] for place in range(_BATCH)]
            began = time.perf_counter()
            _ = [ranking.score >= 0.5 for ranking in model.rank(batch)]
            taken.append(time.perf_counter() - began)
    return float(np.median(taken)) * 1e6 / _BATCH


def model_bytes(model: ArticleClassifier, golden: Sequence[Document]) -> int:
    """The size of the saved artefact, all files together."""
    with tempfile.TemporaryDirectory() as folder:
        artifact.save(model, Path(folder) / "model", key=os.urandom(32), golden=golden, metadata={})
        return sum(path.stat().st_size for path in Path(folder).rglob("*") if path.is_file())
