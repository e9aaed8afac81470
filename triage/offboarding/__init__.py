"""A customer leaves: everything of it is exported, checked, and deleted; nothing of another's is touched."""

from triage.offboarding.container import ExportBroken
from triage.offboarding.exporting import counts
from triage.offboarding.held import OffboardRefused
from triage.offboarding.steps import Offboarded, earlier, export_only, offboard

__all__ = ["ExportBroken", "OffboardRefused", "Offboarded", "counts", "earlier", "export_only", "offboard"]
