"""Connecting an ITSM: made in three steps, seen before it counts, changed with a record; its messages applied again."""

from triage.connecting.live import AT_ONCE, BytesAway, Replayed, apply_left, go_live, raw_of, replay
from triage.connecting.making import ConnectRefused
from triage.connecting.mapping import Unmapped, map_value, unmap, unmapped
from triage.connecting.vendors import VENDORS, Setting, Vendor, vendor_of

__all__ = [
    "AT_ONCE",
    "VENDORS",
    "BytesAway",
    "ConnectRefused",
    "Replayed",
    "Setting",
    "Unmapped",
    "Vendor",
    "apply_left",
    "go_live",
    "map_value",
    "raw_of",
    "replay",
    "unmap",
    "unmapped",
    "vendor_of",
]
