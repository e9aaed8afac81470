"""From messages to tickets: a source goes live, and deliveries are applied again, wherever their bytes lie."""

import logging
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from datetime import datetime

from django.db import InterfaceError, OperationalError
from django.db.models import QuerySet
from django.utils.translation import gettext as _

from triage import lifecycle
from triage.connecting.making import ConnectRefused
from triage.intake import Accepted, Stored, apply_stored
from triage.lake import here
from triage.lake.errors import LakeError
from triage.landing import packed_in
from triage.models import Delivery, Person, Source
from triage.permissions import check_can_keep_source

log = logging.getLogger(__name__)
S = Delivery.Status
AT_ONCE = 200
"""Deliveries that one click applies at most; the page says how many are left."""


class BytesAway(Exception):
    """The delivery's bytes cannot be had now; the message says why. `silent`: the lake does not answer at all."""

    def __init__(self, why: str, *, silent: bool = False) -> None:
        super().__init__(why)
        self.silent = silent


@dataclass
class Replayed:
    """What applying deliveries again did; `still`: (delivery, why) of those that cannot be used as yet.

    `silent`: the lake did not answer, so that more of them would fare no better.
    """

    done: int = 0
    created: int = 0
    updated: int = 0
    left: int = 0
    waiting: bool = False
    silent: bool = False
    still: list[tuple[Delivery, str]] = field(default_factory=list)

    def count(self, accepted: Accepted) -> None:
        """Add one delivery's result."""
        self.done += 1
        self.created += accepted.created
        self.updated += accepted.updated
        self.waiting = self.waiting or accepted.waiting


def raw_of(row: Delivery) -> bytes:
    """The delivery's bytes from its row, or from the lake once they have landed; raises BytesAway."""
    _row, found = next(_with_bytes([row]))
    if isinstance(found, BytesAway):
        raise found
    return found.body


def go_live(source: Source, *, person: Person, at: datetime) -> Replayed:
    """From now on messages become tickets; those that were kept become tickets now, as of when they came.

    Raises ConnectRefused where nothing could bring it a ticket. Going live twice is going live once; what a process
    that dies in between leaves behind is applied by `apply_left`.
    """
    check_can_keep_source(person, source.customer)
    row = Source.objects.get(pk=source.pk)
    if not (row.signing_secrets() or row.pull_every):
        raise ConnectRefused(_("Nothing can bring it a ticket yet: give it a secret, or let it be pulled."))
    if row.customer_id is None and not row.mappings.exists():
        raise ConnectRefused(_("It serves many customers: map at least one value to a customer first."))
    # whoever stores a message meanwhile holds this row's lock, so that it is either found below or applied there
    if Source.objects.filter(pk=source.pk, in_setup=True).update(in_setup=False, pull_due_at=None):
        lifecycle.record(row=source, event="went live", at=at, actor=f"person:{person.pk}")
    source.in_setup = False
    return _apply(source, _stored(source)[:AT_ONCE], at=at, actor=f"person:{person.pk}")


def replay(source: Source, rows: Iterable[Delivery], *, person: Person, at: datetime) -> Replayed:
    """Apply these deliveries of the source again, oldest first; what is known already changes nothing.

    Raises ConnectRefused while the source is being set up.
    """
    check_can_keep_source(person, source.customer)
    if source.in_setup:
        raise ConnectRefused(_("The source is being set up: what came is applied when it goes live."))
    chosen = sorted((row for row in rows if row.source_id == source.pk), key=lambda row: row.pk)
    done = _apply(source, chosen[:AT_ONCE], at=at, actor=f"person:{person.pk}")
    done.left = max(0, len(chosen) - AT_ONCE)
    return done


def apply_left(*, at: datetime) -> int:
    """Apply what is still only kept at sources that are live: whoever let them go live did not get that far."""
    done = 0
    for source in Source.objects.filter(in_setup=False, pk__in=_kept().values("source_id")).order_by("pk"):
        done += _apply_some(source, at=at)
    return done


def _apply_some(source: Source, *, at: datetime) -> int:
    """Apply up to AT_ONCE, past all whose bytes are damaged; a lake that does not answer is asked no further."""
    rows = list(_stored(source)[:AT_ONCE])
    while rows:
        found = _apply(source, rows, at=at, actor="system:intake")
        if found.done or found.silent:
            return found.done
        rows = list(_stored(source).filter(pk__gt=rows[-1].pk)[:AT_ONCE])
    return 0


def _kept() -> QuerySet[Delivery]:
    return Delivery.objects.filter(status=S.STORED)


def _stored(source: Source) -> QuerySet[Delivery]:
    return _kept().filter(source_id=source.pk).order_by("pk")


def _apply(source: Source, rows: Iterable[Delivery], *, at: datetime, actor: str) -> Replayed:
    done = Replayed()
    source = Source.objects.select_related("customer").get(pk=source.pk)
    for row, found in _with_bytes(list(rows)):
        if isinstance(found, BytesAway):
            problem, done.silent = str(found), done.silent or found.silent
        else:
            problem = _apply_one(source, found, done, at=at, actor=actor)
        if problem:
            done.still.append((row, problem))
    return done


def _apply_one(source: Source, stored: Stored, done: Replayed, *, at: datetime, actor: str) -> str:
    """Apply one delivery and count it; why it cannot be used, empty where it can."""

    def note(locked: Delivery) -> None:
        lifecycle.record(row=locked, event="applied again", at=at, actor=actor, reason=f"{source.slug} {locked.key}")

    try:
        accepted = apply_stored(source=source, stored=stored, at=at, actor=actor, note=note)
    except (OperationalError, InterfaceError):
        raise
    except Exception as error:  # one message that nobody foresaw must not keep all later ones waiting for ever
        log.exception("delivery %s could not be applied", stored.row.uuid)
        said = f"It could not be applied ({type(error).__name__}); the server's log says more."
        rows = Delivery.objects.filter(pk=stored.row.pk, status=S.STORED)
        lifecycle.advance(rows, to=S.QUARANTINED, at=at, actor=actor, reason=said)
        return said
    done.count(accepted)
    return "; ".join(bad.reason for bad in accepted.problems)[:500]


def _with_bytes(rows: list[Delivery]) -> Iterator[tuple[Delivery, Stored | BytesAway]]:
    """Each delivery with its bytes, or why they cannot be had, in order.

    A pack of the lake is read once for those of its deliveries that follow each other, and only they are kept of it.
    """
    name, pack = "", _Pack({})
    wanted = {str(row.uuid) for row in rows}
    for row in rows:
        if row.body is not None:
            yield row, Stored(row, bytes(row.body))
            continue
        if row.lake_key != name:
            name, pack = row.lake_key, _pack(row.lake_key, wanted)
        raw = pack.bodies.get(str(row.uuid))
        missing = pack.trouble or BytesAway(_("The lake's object no longer holds this message."))
        yield row, Stored(row, raw) if raw is not None else missing


@dataclass(frozen=True)
class _Pack:
    """Raw bytes by delivery; or, where they cannot be had, why."""

    bodies: dict[str, bytes]
    trouble: BytesAway | None = None


def _pack(key: str, wanted: set[str]) -> _Pack:
    try:
        return _Pack({str(one.id): one.raw for one in packed_in(here.store().get(key)) if str(one.id) in wanted})
    except LakeError:
        silent = _("Its bytes lie in the lake, which does not answer. Try again later.")
        return _Pack({}, BytesAway(silent, silent=True))
    except (ValueError, KeyError):
        return _Pack({}, BytesAway(_("The lake's object that holds its bytes is damaged; restore the object.")))
