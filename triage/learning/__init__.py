"""Stage 5: models are trained, compared, published and certified."""

from triage.learning.certify import HistoryRow, NotCertified, certify
from triage.learning.comparing import below_baseline
from triage.learning.jobs import JobRefused, ask_comparison, ask_grouping, ask_training, run_job
from triage.learning.labelled import TrainingRefused
from triage.learning.publish import PublishRefused, RollbackRefused, paired, publish, rollback
from triage.learning.train import train

__all__ = [
    "HistoryRow",
    "JobRefused",
    "NotCertified",
    "PublishRefused",
    "RollbackRefused",
    "TrainingRefused",
    "ask_comparison",
    "ask_grouping",
    "ask_training",
    "below_baseline",
    "certify",
    "paired",
    "publish",
    "rollback",
    "run_job",
    "train",
]
