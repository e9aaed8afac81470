"""What each token of a line adds to the score of one label over another: exact, since both families only add up.

The combined score before softmax is a weighted sum of the families' scores. Each is linear in its features once the
line is given, so every feature's share can be handed back to the tokens that it was made of. Nothing is estimated.
"""

from collections.abc import Iterator, Sequence
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from classifier.estimator import ArticleClassifier
from classifier.fasttext_model import FastTextModel
from classifier.linear_model import GAP, LinearModel, marked_tokens, pieces_within

Parts = NDArray[np.float64]
"""One number for each token of a line, in order, and last what is there without any token (tokens + 1)."""

_END = "</s>"
_PRIME, _OFFSET, _WIDE = 16_777_619, 2_166_136_261, 1 << 64
_NGRAM_FACTOR = 116_049_371


def contributions(model: ArticleClassifier, line: str, *, label: str, against: str) -> Parts:
    """Of each token of a clean line to the combined score of `label` minus that of `against`, before softmax.

    The sum is that difference but for the rounding of float32 in the models' own scores: within 1e-6 of the two
    scores' and the parts' sizes added up, 1e-5 in texts of thousands of words. Raises ValueError for a label that
    the model does not know.
    """
    chosen, other = _column(model, label), _column(model, against)
    # Every family that the combined score adds up is one line here.
    families = (
        (model.weights_.linear, linear_parts(model.linear_, line, chosen, other)),
        (model.weights_.fasttext, fasttext_parts(model.fasttext_, line, chosen, other)),
    )
    return np.asarray(np.sum([weight * parts for weight, parts in families], axis=0), dtype=np.float64)


def linear_parts(family: LinearModel, line: str, chosen: int, other: int) -> Parts:
    """The linear family's score of column `chosen` minus `other`, by tokens.

    A feature that occurs several times is divided evenly among its occurrences, a pair of words between the two; the
    subject's marked words are the subject's tokens once more.
    """
    tokens, features = marked_tokens(line), family.features_
    plain = line.split()
    count = len(plain)
    owners = [*range(len(tokens) - count), *range(count)]  # marked words of the subject come first
    words, pieces = features.words.get, features.pieces.get
    found = [(words(token), i, i) for token, i in zip(tokens, owners, strict=True)]
    found += [(words(f"{one} {two}"), i, j) for (one, i), (two, j) in pairwise(zip(tokens, owners, strict=True))]
    found += [
        (features.apart.get(f"{plain[i]}{GAP}{plain[i + gap]}"), i, i + gap)
        for gap in (2, 3)
        for i in range(count - gap)
    ]
    found += [(pieces(piece), i, i) for token, i in zip(tokens, owners, strict=True) for piece in pieces_within(token)]
    occurrences = np.array([row for row in found if row[0] is not None], dtype=np.int64).reshape(-1, 3)
    parts = np.zeros(count + 1)
    parts[-1] = family.intercept_[chosen] - family.intercept_[other]
    row = features.transform([line])
    # What the model itself makes of the line: a feature's value times the coefficients' difference.
    weight = row.data * (family.coef_[row.indices, chosen].astype(np.float64) - family.coef_[row.indices, other])
    order = np.argsort(row.indices)
    place = order[np.searchsorted(row.indices, occurrences[:, 0], sorter=order)]
    share = weight[place] / np.bincount(place, minlength=len(weight))[place] / 2
    np.add.at(parts, occurrences[:, 1], share)
    np.add.at(parts, occurrences[:, 2], share)
    return parts


def fasttext_parts(family: FastTextModel, line: str, chosen: int, other: int) -> Parts:
    """A fastText model's logit of column `chosen` minus `other`, by tokens.

    The library's text vector is the mean of the vectors of all words, their subwords and the hashed word n-grams,
    the end-of-line token among the words (it belongs to no token of ours). An n-gram is divided evenly between its
    words. The hashes are those of the library's dictionary.cc.
    """
    tokens = line.split()
    parts = np.zeros(len(tokens) + 1)
    if not tokens:
        return parts
    library = family.model_.f
    # Views of the library's own numbers: copying megabytes for one ticket would be most of the work.
    inputs, outputs = np.asarray(library.getInputMatrix()), np.asarray(library.getOutputMatrix())
    first, second = (library.getLabelId(f"__label__{column}") for column in (chosen, other))
    direction = outputs[first].astype(np.float64) - outputs[second]
    rows = [
        (owner, row) for owner, token in enumerate([*tokens, _END]) for row in library.getSubwords(token, "strict")[1]
    ]
    grams = list(_word_ngrams(tokens, longest=library.getArgs().wordNgrams, buckets=library.getArgs().bucket))
    words = len(inputs) - library.getArgs().bucket
    ids = np.array([row for _, row in rows] + [words + row for _, row in grams], dtype=np.int64)
    logits = inputs[ids].astype(np.float64) @ direction / len(ids)
    np.add.at(parts, [owner for owner, _ in rows], logits[: len(rows)])
    for (members, _), logit in zip(grams, logits[len(rows) :], strict=True):
        parts[members] += logit / len(members)
    return parts


def _word_ngrams(tokens: Sequence[str], *, longest: int, buckets: int) -> Iterator[tuple[list[int], int]]:
    """Each word n-gram of the line as the places of its words (the end of the line has none) and its bucket."""
    hashes = [_hash(token) for token in (*tokens, _END)]
    for start, value in enumerate(hashes):
        mixed = value
        for end in range(start + 1, min(start + longest, len(hashes))):
            mixed = (mixed * _NGRAM_FACTOR + hashes[end]) % _WIDE
            yield list(range(start, min(end + 1, len(tokens)))), mixed % buckets


def _hash(token: str) -> int:
    """FNV-1a as the library computes it, over signed bytes, and kept as a signed number widened to 64 bits."""
    value = _OFFSET
    for byte in token.encode():
        value = ((value ^ (byte if byte < 0x80 else byte | 0xFFFFFF00)) * _PRIME) & 0xFFFFFFFF
    return value if value < 1 << 31 else value - (1 << 32) + _WIDE


def _column(model: ArticleClassifier, label: str) -> int:
    column = int(np.searchsorted(model.classes_, label))
    if column == len(model.classes_) or model.classes_[column] != label:
        raise ValueError(f"the model does not know the label {label!r}; it knows {len(model.classes_)} others")
    return column
