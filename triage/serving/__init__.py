"""What is in force for a customer: the release with its loaded model, the articles, and the certificates."""

from triage.serving.new_articles import suggest_new
from triage.serving.offers import offered
from triage.serving.proofs import gate, proofs, strict_enough
from triage.serving.releases import NoModel, Serving, folder_of, in_force, load, model_key

__all__ = [
    "NoModel",
    "Serving",
    "folder_of",
    "gate",
    "in_force",
    "load",
    "model_key",
    "offered",
    "proofs",
    "strict_enough",
    "suggest_new",
]
