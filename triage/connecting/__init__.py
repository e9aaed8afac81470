"""Connecting an ITSM: made in three steps, seen before it counts, changed with a record; its messages applied again."""

from triage.connecting.live import AT_ONCE, BytesAway, Replayed, apply_left, go_live, raw_of, replay
from triage.connecting.making import ConnectRefused
from triage.connecting.mapping import Unmapped, map_value, unmap, unmapped
from triage.connecting.reading import (
    RAW_BYTES,
    Reading,
    Understood,
    Would,
    shown_headers,
    shown_raw,
    understand,
    would,
)
from triage.connecting.trying import Tried, try_connection
from triage.connecting.vendors import VENDORS, Setting, Vendor, vendor_of

__all__ = [
    "AT_ONCE",
    "RAW_BYTES",
    "VENDORS",
    "BytesAway",
    "ConnectRefused",
    "Reading",
    "Replayed",
    "Setting",
    "Tried",
    "Understood",
    "Unmapped",
    "Vendor",
    "Would",
    "apply_left",
    "go_live",
    "map_value",
    "raw_of",
    "replay",
    "shown_headers",
    "shown_raw",
    "try_connection",
    "understand",
    "unmap",
    "unmapped",
    "vendor_of",
    "would",
]
