"""Articles come from somewhere too: knowledge bases elsewhere are listed, taken over and followed to retirement.

A new kind is one file here and one line in KINDS.
"""

from collections.abc import Mapping

from triage.feeds import confluence, confluence_dc, folder, servicenow, zendesk
from triage.feeds.base import Kind

KINDS: Mapping[str, Kind] = {
    "servicenow": servicenow.KIND,
    "zendesk": zendesk.KIND,
    "confluence": confluence.KIND,
    "confluence_dc": confluence_dc.KIND,
    "folder": folder.KIND,
}

__all__ = ["KINDS"]
