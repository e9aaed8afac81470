"""Which tickets are one storm: same source, same target, same text but for numbers, times and names of machines.

Equal text on different hosts or from different people is never one storm, so whatever names the target is kept as it
is while the rest of the text is masked.
"""

import hashlib
import json
import re
from collections.abc import Mapping

from classifier.text import Document, joined, masked
from triage.models import Source, Ticket

TARGET_FIELDS = frozenset(
    {
        *("account", "affected_user", "login", "user", "user_name", "username", "u_account"),
        *("mail", "email", "mailbox", "group", "group_name", "u_group"),
        *("host", "hostname", "node", "server", "device", "instance", "ip", "ip_address", "cluster", "printer"),
        *("ci", "cmdb_ci", "configuration_item", "service", "database", "disk", "mount", "path"),
    }
)
"""Structured fields that name what a runbook would work on; a source's setting `target_fields` adds more."""

LONGEST_NAME = 255
LONGEST_TEXT = 4000  # what a classifier reads at most; masking costs 0.8 s a megabyte
_EDGES = "\"'`()[]{}<>,;:!?.=|*#"
_TARGET = re.compile(
    r"[^@\s]{1,64}@[a-z0-9.-]{1,190}"
    r"|[a-z0-9_-]{1,63}(?:\.[a-z0-9_-]{1,63}){1,8}(?::\d{1,5})?"
    r"|[a-z][a-z-]{0,30}\d{1,4}[a-z]?"
)


def storm_key(*, source: Source, subject: str, body: str, requester: str, actor: str, fields: Mapping[str, str]) -> str:
    """SHA-256 (hex) of source, unmasked targets and masked text. A person is their own target, a machine is not."""
    document = Document(subject[:LONGEST_TEXT], body[:LONGEST_TEXT])
    machine = actor == Ticket.Actor.MACHINE
    told = [
        str(source.uuid),
        _named(source, fields),
        sorted(_mentioned(document)) if machine else requester.casefold(),
        masked(document),
    ]
    return hashlib.sha256(json.dumps(told, ensure_ascii=True).encode()).hexdigest()


def _named(source: Source, fields: Mapping[str, str]) -> list[list[str]]:
    more = source.settings.get("target_fields")
    names = TARGET_FIELDS | {str(name).casefold() for name in more} if isinstance(more, list) else TARGET_FIELDS
    return sorted([name.casefold(), fields[name].strip().casefold()] for name in fields if name.casefold() in names)


def _mentioned(document: Document) -> set[str]:
    """Hosts and addresses in an alert's own text; a number that only looks like one splits a storm, never joins two."""
    found = set()
    for word in joined(document).split():
        core = word.partition("://")[2].partition("/")[0] if "://" in word else word.strip(_EDGES)
        # of dotted numbers only those with four parts can be an address
        number = core.replace(".", "").isdigit() and core.count(".") != 3
        if len(core) <= LONGEST_NAME and not number and _TARGET.fullmatch(core):
            found.add(core)
    return found
