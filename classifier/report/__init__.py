"""An evaluation for people: a table for the terminal, and one HTML page with plots that fetches nothing."""

from classifier.report.page import write
from classifier.report.terminal import table

__all__ = ["table", "write"]
