"""Probabilities in words, the same wherever people read them: on the desk, in the ITSM's notes and in its panel."""

SURE = ((0.95, "very likely"), (0.8, "likely"), (0.5, "perhaps"), (0.2, "unlikely"), (0.0, "very unlikely"))


def in_words(probability: float) -> str:
    """A probability (0..1) in words."""
    return next(words for least, words in SURE if probability >= least)


def as_percent(share: float) -> str:
    """A share (0..1) as percent. Never 100 % unless it is all, never 0 % unless it is none."""
    whole = share * 100
    if 99 <= whole < 100 or 0 < whole < 1:
        return f"{min(whole, 99.9):.1f}\u00a0%" if whole >= 0.1 else "<0.1\u00a0%"
    return f"{whole:.0f}\u00a0%"
