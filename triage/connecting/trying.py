"""One reading request to the ITSM, to see whether address, credentials and rights are right. Nothing is stored."""

import time
from dataclasses import dataclass
from datetime import datetime, timedelta

from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from triage.connecting.reading import Reading, readings
from triage.connecting.vendors import vendor_of
from triage.itsm import SOURCES, PullFailed
from triage.models import Person, Source
from triage.permissions import check_can_keep_source

BACK = timedelta(days=1)


@dataclass(frozen=True)
class Tried:
    """The answer in words, and what was understood of the first tickets."""

    ok: bool
    words: str
    readings: tuple[Reading, ...] = ()


def try_connection(source: Source, *, person: Person, at: datetime) -> Tried:
    """Ask the ITSM for the first page of what changed within a day, the way every pull does."""
    check_can_keep_source(person, source.customer)
    name, began = vendor_of(source.kind).name, time.monotonic()
    try:
        page = SOURCES[source.kind].pull(source, since=at - BACK, cursor="")
    except PullFailed as error:
        return Tried(False, _("%(name)s was not read: %(why)s") % {"name": name, "why": error})
    count = len(page.tickets)
    words = ngettext(
        "%(name)s answered in %(seconds)s s: one ticket on the first page of what changed within a day.",
        "%(name)s answered in %(seconds)s s: %(count)s tickets on the first page of what changed within a day.",
        count,
    ) % {"name": name, "seconds": f"{time.monotonic() - began:.1f}", "count": count}
    if page.problems:
        words += " " + _("Of these could not be used: %(why)s") % {"why": page.problems[0].reason}
    return Tried(True, words, readings(source, [(0, ticket) for ticket in page.tickets]))
