"""Stage 2: waiting tickets are claimed, classified with no transaction open, and decided where nothing moved on."""

from triage.prediction.batch import Progress, classify_batch

__all__ = ["Progress", "classify_batch"]
