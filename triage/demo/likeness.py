"""How alike new tickets are to those that a model has learnt from."""

from collections.abc import Sequence

import numpy as np

NEAR = 0.9
_ROWS = 500


def near_duplicate_share(train_texts: Sequence[str], stream_texts: Sequence[str]) -> float:
    """Share (0..1) of stream texts with a cosine of at least .9 to any training text.

    Over TF-IDF of words and pairs of words, weighted by the training texts. A text without any known word is near
    to nothing. 0.0 where either side is empty.
    """
    from sklearn.feature_extraction.text import TfidfVectorizer

    if not train_texts or not stream_texts:
        return 0.0
    vectorizer = TfidfVectorizer(ngram_range=(1, 2)).fit([*train_texts])
    train, stream = vectorizer.transform(train_texts), vectorizer.transform(stream_texts)
    nearest = [
        (stream[start : start + _ROWS] @ train.T).max(axis=1).toarray().ravel()
        for start in range(0, len(stream_texts), _ROWS)
    ]
    return float(np.mean(np.concatenate(nearest) >= NEAR))
