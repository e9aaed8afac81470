"""What supports a prediction besides its probability, and when there is too little of it to act on.

A classifier is as confident about an empty text, a log dump or a language it never saw as about a ticket. The rule
here is learnt from training texts predicted out of fold, and from tickets of articles that were left out of training:
those look like the ones that no article covers.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from classifier.calibration import Scores, logistic
from classifier.text import HAN, KANA, THAI, UNSPACED

SIGNALS = ("top", "bayes", "fasttext", "unknown")
# Whether more of a signal speaks for (1) or against (-1) a ticket being in scope.
_DIRECTIONS = (1, 1, 1, -1)
_SURE_OF_LANGUAGE = 0.95
_READ_FOR_LANGUAGE = 300
# Without left-out articles and out-of-scope examples to learn from (two articles only): the shape found elsewhere.
_DEFAULT_WEIGHTS, _DEFAULT_BIAS = (1.0, 0.8, 0.4, -0.2), 3.0


@dataclass(frozen=True, kw_only=True)
class Evidence:
    """Support for one prediction, for people and for the gate.

    `known_share` (0..1) and `known_count`: words of the ticket that training texts had; `language`: ISO 639-1 code
    or "und"; `in_scope` (0..1): how likely the ticket is about any article at all; `agreement` (0..1): overlap of the
    two families' probabilities; `sufficient`: whether automation may look at the probability; `reason`: a sentence.
    """

    known_share: float
    known_count: int
    language: str
    in_scope: float
    agreement: float
    sufficient: bool
    reason: str

    def as_dict(self) -> dict[str, Any]:
        """The evidence as JSON values."""
        return asdict(self)


@dataclass(frozen=True)
class Counts:
    """Of each line (arrays of n integers): all tokens, those that are words, and the words seen in training."""

    tokens: NDArray[np.int64]
    words: NDArray[np.int64]
    known: NDArray[np.int64]

    @property
    def known_share(self) -> NDArray[np.float64]:
        """Known words among words, 0 where there are none."""
        return self.known / np.maximum(self.words, 1)

    @property
    def word_share(self) -> NDArray[np.float64]:
        """Words among tokens, 0 where there are none."""
        return self.words / np.maximum(self.tokens, 1)


def count(lines: Sequence[str], vocabulary: Collection[str]) -> Counts:
    """Tokens, words (they begin with a letter or digit and hold a letter) and known words of clean lines."""
    rows = np.empty((len(lines), 3), dtype=np.int64)
    for row, line in zip(rows, lines, strict=True):
        tokens = line.split()
        words = [token for token in tokens if token[0].isalpha() or (token[0].isalnum() and token.islower())]
        row[:] = len(tokens), len(words), sum(map(vocabulary.__contains__, words))
    return Counts(*rows.T)


def signals(*, top: NDArray[np.float64], bayes: Scores, fasttext: Scores, counts: Counts) -> Scores:
    """The columns named by SIGNALS, (n, 4): top probabilities (n,), naive Bayes' and fastText's scores (n, classes).

    Of some twenty that were tried (margins, likeness to the nearest training text, agreement, known word pairs, ...)
    these told CLINC150's out-of-scope examples and left-out articles best; no other added to them.
    """
    columns = (
        np.log(np.maximum(top, 1e-9) / np.maximum(1 - top, 1e-6)),
        bayes.max(axis=1) - bayes.mean(axis=1),
        fasttext.max(axis=1),
        np.log1p(counts.words - counts.known),
    )
    return np.column_stack(columns)


@dataclass(frozen=True, kw_only=True)
class EvidenceRule:
    """How signals become an in-scope score, and below what there is too little evidence; learnt, then plain numbers."""

    means: tuple[float, ...]
    scales: tuple[float, ...]
    weights: tuple[float, ...]
    bias: float
    least_known_share: float
    least_known_count: int
    least_word_share: float
    languages: tuple[str, ...]

    @classmethod
    def learn(
        cls, *, inside: Scores, pairs: Sequence[tuple[Scores, Scores]], counts: Counts, languages: tuple[str, ...]
    ) -> "EvidenceRule":
        """From signals of rows inside (n, 4), and from pairs of rows (inside, outside) scored alike.

        Every pair, and inside and outside within it, counts the same however many rows it has. `counts` are those of
        training texts that were not trained on: half a percent of them may fall below each limit, within bounds that
        keep plain nonsense out.
        """
        means, scales = inside.mean(axis=0), np.maximum(inside.std(axis=0), 0.05)
        weights, bias = np.array(_DEFAULT_WEIGHTS), _DEFAULT_BIAS
        if pairs:
            parts = [part for pair in pairs for part in pair]
            X = (np.vstack(parts) - means) / scales
            y = np.concatenate([np.full(len(part), 1.0 - i % 2) for i, part in enumerate(parts)])
            shares = np.concatenate([np.full(len(part), 1 / max(1, len(part))) for part in parts])
            weights, bias = logistic(X, y, sample_weights=shares / shares.sum(), directions=_DIRECTIONS)
        return cls(
            means=tuple(means.tolist()),
            scales=tuple(scales.tolist()),
            weights=tuple(weights.tolist()),
            bias=bias,
            least_known_share=float(np.clip(np.quantile(counts.known_share, 0.005), 0.25, 0.6)),
            least_known_count=int(np.clip(np.quantile(counts.known, 0.005), 1, 2)),
            least_word_share=float(np.clip(np.quantile(counts.word_share, 0.005), 0.05, 0.3)),
            languages=languages,
        )

    def in_scope(self, rows: Scores) -> NDArray[np.float64]:
        """The in-scope score (n,), 0..1, of signals (n, 4)."""
        total = np.full(len(rows), self.bias)
        for column, mean, scale, weight in zip(rows.T, self.means, self.scales, self.weights, strict=True):
            total += weight * (column - mean) / scale
        return np.asarray(1 / (1 + np.exp(-np.clip(total, -50, 50))), dtype=np.float64)

    def judge(self, line: str, *, tokens: int, words: int, known: int, in_scope: float, agreement: float) -> Evidence:
        """The evidence of one line, whose numbers `count` and `in_scope` gave."""
        share = known / words if words else 0.0
        language = self._language(line, share)
        lack = self._lack(tokens=tokens, words=words, known=known, share=share, language=language)
        return Evidence(
            known_share=round(share, 6),
            known_count=known,
            language=language,
            in_scope=0.0 if lack else round(in_scope, 6),
            agreement=round(agreement, 6),
            sufficient=not lack,
            reason=lack or _support(share=share, words=words, in_scope=in_scope, agreement=agreement),
        )

    def as_dict(self) -> dict[str, Any]:
        """The rule as JSON values, for the artefact and the gate."""
        return asdict(self)

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> "EvidenceRule":
        """The rule that `as_dict` described."""
        options: dict[str, Any] = {name: tuple(v) if isinstance(v, list) else v for name, v in values.items()}
        return cls(**options)

    def _lack(self, *, tokens: int, words: int, known: int, share: float, language: str) -> str:
        """Why there is too little evidence, as a sentence; empty if there is enough."""
        if not words:
            return "The ticket has no words."
        few = share < self.least_known_share or known < self.least_known_count
        if self.languages and language not in (*self.languages, "und"):
            return f"The ticket seems to be in a language that training did not have ({language})."
        if few:
            return f"Too few words of the ticket are known: {known} of {words}."
        if words < self.least_word_share * tokens:
            return "The ticket consists mostly of numbers and signs."
        return ""

    def _language(self, line: str, known_share: float) -> str:
        # Where most words are known the language is one of training's: no need to guess among a hundred. But single
        # Han characters are known from Japanese to a model that never saw Chinese.
        if known_share >= 0.5 and self.languages and not script_language(line):
            return self.languages[0] if len(self.languages) == 1 else identify(line, among=self.languages)[0]
        language, probability = identify(line)
        return language if probability >= _SURE_OF_LANGUAGE else "und"


def _support(*, share: float, words: int, in_scope: float, agreement: float) -> str:
    known = f"{share:.0%} of {words} words are known" if words > 1 else "The one word is known"
    if in_scope < 0.5:
        return f"{known}, but the ticket does not look like any article's."
    if agreement < 0.5:
        return f"{known}, but the two families disagree about the article."
    return f"{known}, and both families agree."


@cache
def _identifier(among: tuple[str, ...]) -> Any:
    from py3langid.langid import MODEL_FILE, LanguageIdentifier

    identifier = LanguageIdentifier.from_model_file(MODEL_FILE, norm_probs=True)
    if among:
        identifier.set_languages(list(among))
    return identifier


def identify(line: str, *, among: tuple[str, ...] = ()) -> tuple[str, float]:
    """The most probable language (ISO 639-1) of a line and its probability (0..1), of all or among some."""
    if told := script_language(line):
        return told, 1.0
    language, probability = _identifier(among).classify(line[:_READ_FOR_LANGUAGE])
    return "und" if language == "zxx" else str(language), float(probability)  # zxx: "no linguistic content"


def script_language(line: str) -> str:
    """The language that a line's script gives away: "ja", "zh" or "th"; empty where another script prevails."""
    if line.isascii() or len(UNSPACED.findall(line)) * 2 < len(line) - line.count(" "):
        return ""
    return "ja" if KANA.search(line) else "th" if THAI.search(line) else "zh" if HAN.search(line) else ""


def languages_of(lines: Sequence[str], *, seed: int) -> tuple[str, ...]:
    """The languages of a training set, most frequent first: those of at least 1 % of (up to 1,000) lines."""
    chosen = np.random.default_rng(seed).permutation(len(lines))[:1000]
    told = [identify(lines[i]) for i in chosen]
    likely = [language for language, probability in told if probability >= 0.5]
    found, rows = np.unique(likely, return_counts=True)
    order = np.lexsort((found, -rows))
    return tuple(str(found[i]) for i in order if rows[i] >= max(2, 0.01 * len(likely)))
