"""Labels that are probably wrong: kept with the release whose training found them, and answered by people.

What is listed here was opened by a noise review, so its text certifies nothing from then on (step P2 of the
certification procedure), whatever the answer was.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime

from django.db import transaction
from django.utils.translation import gettext as _

from classifier import noise
from classifier.estimator import ArticleClassifier
from triage import lifecycle
from triage.learning.labelled import Labelled, key_of, key_of_row
from triage.models import Customer, Draw, Label, Person, Release, Suspect
from triage.permissions import check_can_publish
from triage.queries import articles

A = Suspect.Answer
MOST = 200
PROVENANCE = "noise-review"


class SuspectRefused(Exception):
    """The answer cannot be taken; the message says why."""


def suspects_of(
    release: Release, model: ArticleClassifier, *, rows: Sequence[Labelled], origins: Mapping[str, str]
) -> list[Suspect]:
    """The most suspicious 200 of a release's training rows, not saved yet.

    `rows` are those that the model was fitted on; `origins` names each one's label (`labelled.Labels`). Rows that were
    handed in have none and cannot be corrected here. A label that a person said is right is not asked about again.
    """
    numbers, probabilities = model.out_of_fold_
    labels = [rows[number][1] for number in numbers]
    found = noise.suspects(labels, probabilities, model.classes_.tolist())
    named = {one.row: origins.get(key_of_row(rows[numbers[one.row]])) for one in found}
    known = Label.objects.of(release.customer).filter(uuid__in=[uuid for uuid in named.values() if uuid])
    by_uuid = {str(label.uuid): label for label in known.filter(withdrawn_at__isnull=True)}
    kept = set(Suspect.objects.of(release.customer).filter(answer=A.KEEP).values_list("label_id", "likely"))
    wanted = [
        (one, label)
        for one in found
        if (label := by_uuid.get(named[one.row] or "")) and (label.pk, one.likely) not in kept
    ]
    return [
        Suspect(
            customer=release.customer,
            release=release,
            label=label,
            text_key=key_of(rows[numbers[one.row]][0]),
            given=one.label,
            likely=one.likely,
            probability=one.probability,
            self_confidence=one.self_confidence,
            place=place,
        )
        for place, (one, label) in enumerate(wanted[:MOST])
    ]


def spent(customer: Customer) -> frozenset[str]:
    """Keys of the texts that a noise review opened: no certificate may count them."""
    return frozenset(Suspect.objects.of(customer).values_list("text_key", flat=True))


def answer(suspect: Suspect, *, person: Person, said: str, at: datetime, article: str = "") -> None:
    """Keep the label, change it to another article, or drop it. Raises SuspectRefused, PermissionDenied.

    A change withdraws the label and writes a new one, which trains and never certifies.
    """
    check_can_publish(person, suspect.customer)
    if said not in (A.KEEP, A.CHANGE, A.DROP):
        raise SuspectRefused(_("Keep it, change it, or say that it is no label."))
    if said == A.CHANGE and articles.best(suspect.customer, article) is None:
        raise SuspectRefused(_("This customer is offered no article %(label)s.") % {"label": article[:60]})
    with transaction.atomic():
        label = Label.objects.select_for_update().get(pk=suspect.label_id)
        if label.withdrawn_at is not None:
            raise SuspectRefused(_("This label was withdrawn meanwhile: there is nothing to decide any more."))
        values = {"answer": said, "answered_by": person, "answered_at": at}
        if not Suspect.objects.filter(pk=suspect.pk, answer=A.OPEN).update(**values):
            raise SuspectRefused(_("Somebody else has answered this one. Reload the page."))
        if said != A.KEEP:
            Label.objects.filter(pk=label.pk).update(withdrawn_at=at, landed_at=None)
        if said == A.CHANGE:
            Suspect.objects.filter(pk=suspect.pk).update(made=_relabelled(label, article, at=at))
        lifecycle.record(
            row=suspect,
            event="label judged",
            at=at,
            actor=f"person:{person.pk}",
            after=said,
            reason=f"{suspect.given} -> {article}" if said == A.CHANGE else suspect.given,
        )


def undo(suspect: Suspect, *, person: Person, at: datetime) -> None:
    """Take an answer back: the label is as it was. Its text stays spent. Raises SuspectRefused, PermissionDenied."""
    check_can_publish(person, suspect.customer)
    with transaction.atomic():
        current = Suspect.objects.select_for_update().get(pk=suspect.pk)
        if current.answer == A.OPEN or current.answered_at is None:
            raise SuspectRefused(_("There is no answer to take back. Reload the page."))
        if current.made_id:
            Label.objects.filter(pk=current.made_id).update(withdrawn_at=at, landed_at=None)
        if current.answer != A.KEEP:
            # a label that was withdrawn for another reason since stays so
            mine = Label.objects.filter(pk=current.label_id, withdrawn_at=current.answered_at)
            mine.update(withdrawn_at=None, landed_at=None)
        Suspect.objects.filter(pk=current.pk).update(answer=A.OPEN, answered_by=None, answered_at=None, made=None)
        lifecycle.record(
            row=suspect, event="judgement undone", at=at, actor=f"person:{person.pk}", after=current.answer
        )


def _relabelled(label: Label, article: str, *, at: datetime) -> Label:
    return Label.objects.create(
        customer=label.customer,
        ticket=label.ticket,
        subject=label.subject,
        body=label.body,
        language=label.language,
        article=article,
        provenance=PROVENANCE,
        draw_purpose=Draw.Purpose.NONE,
        draw_probability=0.0,
        made_at=at,
    )
