"""Stage 5: models are trained, compared, published and certified."""

from triage.learning.certify import HistoryRow, NotCertified, certify
from triage.learning.comparing import below_baseline
from triage.learning.jobs import run_job
from triage.learning.labelled import TrainingRefused
from triage.learning.publish import PublishRefused, RollbackRefused, publish, rollback
from triage.learning.train import train

__all__ = [
    "HistoryRow",
    "NotCertified",
    "PublishRefused",
    "RollbackRefused",
    "TrainingRefused",
    "below_baseline",
    "certify",
    "publish",
    "rollback",
    "run_job",
    "train",
]
