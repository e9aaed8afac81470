"""A candidate comes into force, or an earlier release again. A model that is worse, also than plain TF-IDF, or that
answers otherwise than when it was made, does not.
"""

from datetime import datetime
from typing import Any

from django.db import IntegrityError, transaction

from classifier import golden
from classifier.artifact import ArtifactError
from triage import lifecycle, serving
from triage.lake.errors import LakeError
from triage.learning.comparing import Outcomes, Paired, below_baseline
from triage.models import Customer, Release
from triage.serving import NoModel

GOLDEN_SECONDS = 120


class PublishRefused(Exception):
    """This release does not come into force; the message says why, with the figures."""


class RollbackRefused(Exception):
    """There is no earlier release to return to, or it cannot be opened; the message says which."""


def publish(*, release: Release, actor: str, at: datetime, force: bool = False) -> None:
    """Bring a release into force in place of the one that is; raises PublishRefused with the reason.

    `force` publishes a worse model too, and the log says who did; one whose golden set fails never comes into force.
    """
    old = Release.objects.filter(customer=release.customer_id, status=Release.Status.IN_FORCE).first()
    if old is not None and old.pk == release.pk:
        raise PublishRefused(f"Release {release.version} is in force already.")
    worse = " ".join(filter(None, (_worse(release, old) if old else "", _below(release))))
    if worse and not force:
        raise PublishRefused(worse)
    _opens(release)
    reason = f"Published although: {worse}" if worse else _figures(release, old)
    _replace(old, release, at=at, actor=actor, reason=reason)


def rollback(*, customer: Customer, actor: str, at: datetime, leaving: Release | None = None) -> Release:
    """Return to the release that was in force before; it comes with the certificates that it earned.

    `leaving`: the release that whoever asks believes to be in force; where another one is, nothing happens.
    """
    old = Release.objects.of(customer).filter(status=Release.Status.IN_FORCE).first()
    if old is None:
        raise RollbackRefused(f"No release of {customer.name} is in force, so there is none to go back from.")
    if leaving is not None and leaving.pk != old.pk:
        raise RollbackRefused(f"Release {leaving.version} is no longer in force; {old.version} is. Look again.")
    # a release that was rolled back lost its time of coming into force, so going back twice goes further back
    before = Release.objects.of(customer).filter(status=Release.Status.RETIRED, in_force_at__isnull=False)
    earlier: Release | None = before.order_by("-in_force_at").select_related("customer").first()
    if earlier is None:
        raise RollbackRefused(f"No release of {customer.name} was in force before {old.version}.")
    try:
        _opens(earlier)
        _replace(old, earlier, at=at, actor=actor, reason=f"Rolled back from {old.version}.", back=True)
    except PublishRefused as refused:
        raise RollbackRefused(str(refused)) from refused
    earlier.refresh_from_db()
    return earlier


def _opens(release: Release) -> None:
    """The model is whole, and a fresh process answers its golden set as it was answered when the model was made."""
    try:
        model = serving.load(release)
    except (NoModel, LakeError) as error:
        raise PublishRefused(f"The files of release {release.version} cannot be used: {error}") from error
    try:
        golden.check_in_child(model.folder, key=serving.model_key(), seconds=GOLDEN_SECONDS)
    except ArtifactError as error:
        raise PublishRefused(f"Release {release.version} does not answer as when it was made: {error}") from error


def paired(new: Release, old: Release) -> Paired:
    """Both on the same rows: as measured when the candidate was trained, else where their held-out rows meet."""
    beside: dict[str, Any] = new.measures.get("in_force") or {}
    theirs = beside if beside.get("version") == old.version else old.measures.get("held_out") or {}
    mine = new.measures.get("held_out") or {}
    return Paired.of(Outcomes.from_dict(mine), Outcomes.from_dict(theirs))


def _worse(release: Release, old: Release) -> str:
    both = paired(release, old)
    if not both.rows:
        return (
            f"There is no row that neither {release.version} nor {old.version} was trained on, so they cannot be "
            "compared. Train anew with more labels."
        )
    return both.worse


def _below(release: Release) -> str:
    below = below_baseline(release.measures)
    return f"{below} To publish it all the same, use --force." if below else ""


def _figures(release: Release, old: Release | None) -> str:
    return f"Not worse: {paired(release, old).figures}." if old else "The first release."


def _replace(old: Release | None, new: Release, *, at: datetime, actor: str, reason: str, back: bool = False) -> None:
    """One leaves force and the other enters it, at once or not at all."""
    changes: dict[str, Any] = {} if back else {"in_force_at": at}
    try:
        with transaction.atomic():
            if old is not None:
                lifecycle.advance(
                    Release.objects.filter(pk=old.pk),
                    to=Release.Status.RETIRED,
                    at=at,
                    actor=actor,
                    reason=f"Replaced by {new.version}." if not back else f"Rolled back to {new.version}.",
                    changes={"in_force_at": None} if back else None,
                )
            won = lifecycle.advance(
                Release.objects.filter(pk=new.pk),
                to=Release.Status.IN_FORCE,
                at=at,
                actor=actor,
                reason=reason[:500],
                changes=changes,
            )
            if not won:
                raise PublishRefused(f"Release {new.version} cannot come into force from where it stands now.")
    except IntegrityError as error:
        raise PublishRefused("Another release came into force at the same moment. Look again.") from error
    new.refresh_from_db()
