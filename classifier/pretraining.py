"""Word vectors learnt from tickets that nobody has labelled: what words stand beside tells what they mean.

They start the fastText family, so that words which no labelled ticket has are known; they are kept only where they win
out of fold. Labels of these texts, if there are any, are never looked at.
"""

from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from classifier.combination import combination, scored_unseen
from classifier.crossfit import Rows, Trainer, Unseen
from classifier.fasttext_model import DIMENSIONS, FastTextError, Vectors, skipgram

FEWEST = 1_000
"""Distinct texts beyond the labelled ones; fewer say too little of any word."""

MOST_WORDS = 20_000
"""How many words get a vector, the commonest (4 MB of the model's file at 50 dimensions)."""

LENGTH = 15.0
"""The root mean square length of the vectors.

A line's vector is the mean over its words and their n-grams, which start near 0 and are learnt: short vectors are soon
drowned by them, long ones make confident errors. FastText alone with 5 labels a class, right and log loss: CLINC150
.595, 1.74 without vectors; .672, 1.41 with length 5; .698, 1.25 with 15; .703, 1.27 with 40. Twelve languages .544,
1.46; .662, 1.15; .684, 1.05; .688, 1.17.
"""

SURE = 0.5
"""How many standard errors the mean gain in log loss must reach."""

MATERIAL = 0.005
"""The mean gain (nats) that is worth a larger file."""

_READ = 2_000_000
_PASSES = (2, 40)


def learn(lines: Sequence[str], *, dimensions: int, seed: int = 0) -> Vectors:
    """Vectors of the commonest words of clean lines, centred (Mu and Viswanath 2018) and of length LENGTH on average.

    The first 2,000,000 words are read, between 2 and 40 times: the fewer the oftener.
    """
    read: list[str] = []
    words = 0
    for line in lines:
        words += line.count(" ") + 1
        if words > _READ:
            break
        read.append(line)
    passes = int(np.clip(1_200_000 // max(1, words), *_PASSES))
    found = skipgram(read, dimensions=dimensions, epochs=passes, most_words=MOST_WORDS, seed=seed)
    if len(found.words) < 2:
        return found
    values = found.values - found.values.mean(axis=0)
    length = float(np.sqrt((values.astype(np.float64) ** 2).sum(axis=1).mean()))
    return Vectors(found.words, (values * (LENGTH / max(length, 1e-6))).astype(np.float32))


def beyond(lines: Iterable[str], labelled: Iterable[str]) -> list[str]:
    """The distinct lines that are not among the labelled ones, in order.

    Without them what is measured out of fold is what a new ticket gets: no row's own text has shaped the vectors.
    """
    known = set(labelled)
    return list(dict.fromkeys(line for line in lines if line and line not in known))


def chosen(
    trainer: Trainer,
    unseen: list[Unseen],
    splits: Sequence[tuple[Rows, Rows]],
    *,
    codes: Rows,
    regular: int,
    unlabelled: Sequence[str],
    families: str,
    seed: int = 0,
) -> tuple[Trainer, list[Unseen], dict[str, Any]]:
    """The trainer and its scores of unseen rows, with word vectors from the unlabelled lines if those do better.

    Better is a lower log loss of the whole, beyond chance, on the first `regular` of the `splits`. Also what to
    report: how many unlabelled lines counted, and both losses. Too few lines, or text that nothing can be learnt from,
    change nothing.

    What it brought (labelled rows drawn from training files, all others unlabelled, tested on 1,200; right without and
    with vectors, the whole and then fastText alone): CLINC150 5 a class .758 .765, .614 .721; 10 a class .862 .865,
    .773 .815. BANKING77 5 a class .623 .638, .505 .594. Twelve languages, 149 rows .637 .754, .650 .754; 749 rows
    .904 .900, .894 .897. Long helpdesk tickets, 977 rows .644 .645, .590 .610. Inverse document frequencies from all
    texts, tried as well, brought nothing (CLINC150 .752 .751, BANKING77 .636 .633).
    """
    lines = beyond(unlabelled, trainer.lines)
    report: dict[str, Any] = {"unlabelled": len(lines), "pretrained": False}
    if len(lines) < FEWEST or families == "linear":
        return trainer, unseen, report
    try:
        vectors = learn(lines, dimensions=trainer.fasttext.dimensions or DIMENSIONS, seed=seed)
        # Words that no labelled line has change no score here, and would take time.
        trial = replace(trainer, vectors=vectors.only(trainer.lines))
        scores = trial.fasttext_again(unseen, splits)
    except FastTextError as error:
        return trainer, unseen, {**report, "pretraining_failed": str(error)}
    predicted = codes[np.concatenate([rows for _, rows in splits[:regular]])]
    without, with_vectors = (_losses(one[:regular], predicted, families) for one in (unseen, scores))
    gains = without - with_vectors
    report |= {"log_loss_without_vectors": float(without.mean()), "log_loss_with_vectors": float(with_vectors.mean())}
    if gains.mean() < max(MATERIAL, SURE * gains.std() / np.sqrt(len(gains))):
        return trainer, unseen, report
    return replace(trainer, vectors=vectors), scores, {**report, "pretrained": True}


def _losses(unseen: Sequence[Unseen], codes: Rows, families: str) -> NDArray[np.float64]:
    """The log loss of each row (n,) under the combination that is best for these scores."""
    weights, _ = combination(unseen, codes, families=families)
    probabilities = np.concatenate([scored_unseen(one, weights).probabilities for one in unseen])
    return np.asarray(-np.log(np.maximum(probabilities[np.arange(len(codes)), codes], 1e-6)))
