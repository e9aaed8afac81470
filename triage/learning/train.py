"""From labels to a candidate release: trained, measured beside the release in force, signed, and put into the lake."""

import secrets
import tempfile
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

from django.db import transaction

from classifier import artifact
from classifier.estimator import ArticleClassifier
from classifier.fasttext_model import FastTextError
from classifier.profiles import AUTOMATIC, PROFILES
from classifier.text import Document
from triage import lifecycle, serving
from triage.lake import here, layout
from triage.lake.errors import LakeError
from triage.learning import seen, suspected
from triage.learning.comparing import Outcomes
from triage.learning.labelled import Labelled, Labels, Split, TrainingRefused, key_of, labels_of, split
from triage.learning.tuned import tuning_of
from triage.learning.unlabelled import Unlabelled, unlabelled_of
from triage.models import Customer, Release, Suspect
from triage.serving import NoModel

ACTOR = "system:learning"
FEWEST_ROWS = 20
GOLDEN = 50


def train(
    *,
    customer: Customer,
    at: datetime,
    rows: Sequence[Labelled] | None = None,
    out_of_scope: Sequence[Document] = (),
    profile: str = AUTOMATIC,
    progress: Callable[[str], object] = lambda _: None,
) -> Release:
    """Train a candidate from the customer's labels in the lake, or from `rows` of (document, label).

    `out_of_scope` are tickets that no article covers; `profile` names the kind of classifier (`classifier.profiles`).
    Raises TrainingRefused with what is missing, and LakeError.
    """
    labels = labels_of(customer, at=at) if rows is None else Labels(rows=list(rows), out_of_scope=[], until=at)
    outside = [*labels.out_of_scope, *out_of_scope]
    parts = split(labels.rows)
    _enough(parts)
    progress(f"training on {len(parts.train)} rows; {len(parts.held_out)} held out, {len(outside)} out of scope")
    others = unlabelled_of(customer)
    model = _fitted(parts, outside, profile, others)
    learnt = {"profile": profile, **_learnt_from(labels, outside, others, model)}
    release = _measured(customer, model, parts, learnt=learnt, until=labels.until, at=at, progress=progress)
    progress("signing and storing")
    # Texts that only shaped word vectors shaped the model all the same: they certify nothing either.
    documents = [document for document, _ in parts.train]
    known = [*documents, *outside, *(others.documents if model.report_["pretrained"] else ())]
    _store(release, model, golden=_golden(parts, outside), documents=known)
    _record(release, model, rows=parts.train, origins=labels.origins, at=at)
    return release


def _measured(
    customer: Customer,
    model: ArticleClassifier,
    parts: Split,
    *,
    learnt: Mapping[str, Any],
    until: datetime,
    at: datetime,
    progress: Callable[[str], object],
) -> Release:
    """The release that this model becomes, not yet saved: what it learnt from, and how it does on what it never saw."""
    progress("measuring on the rows that were held out, beside TF-IDF with LinearSVC")
    outcomes = Outcomes.of(model, parts.held_out)
    return Release(
        customer=customer,
        version=f"{at:%Y%m%d-%H%M%S}-{secrets.token_hex(2)}",
        trained_until=until,
        rows=len(parts.train),
        accuracy=outcomes.accuracy,
        measures={
            **learnt,
            "held_out": outcomes.as_dict(),
            "baseline": _baseline(parts),
            "in_force": _beside(customer, parts, progress),
        },
        created_at=at,
    )


def _record(
    release: Release, model: ArticleClassifier, *, rows: Sequence[Labelled], origins: Mapping[str, str], at: datetime
) -> None:
    """Save the release, with what its training found out about its labels."""
    with transaction.atomic():
        release.save(force_insert=True)
        tuning_of(release, model, labels=[label for _, label in rows]).save()
        doubtful = suspected.suspects_of(release, model, rows=rows, origins=origins)
        Suspect.objects.bulk_create(doubtful, batch_size=100)
        lifecycle.record(row=release, event="trained", at=at, actor=ACTOR, after=release.status)


def _learnt_from(
    labels: Labels, outside: Sequence[Document], others: Unlabelled, model: ArticleClassifier
) -> dict[str, Any]:
    """How much of what it learnt from, for the release's measures; of the unlabelled texts, what became of them."""
    return {
        "classes": len(model.classes_),
        "out_of_scope": len(outside),
        "labels_table_version": labels.table_version,
        "dropped": labels.dropped,
        "unlabelled": {
            "tickets": len(others.tickets),
            "articles": len(others.articles),
            "beyond_labelled": model.report_["unlabelled"],
            "pretrained": bool(model.report_["pretrained"]),
        },
    }


def _fitted(parts: Split, outside: Sequence[Document], profile: str, others: Unlabelled) -> ArticleClassifier:
    if profile not in PROFILES:
        raise TrainingRefused(f"there is no profile {profile!r}; choose from {', '.join(PROFILES)}")
    documents, labels = [document for document, _ in parts.train], [label for _, label in parts.train]
    # Any other profile promises what it names and nothing beside it.
    unlabelled = others.documents if profile == AUTOMATIC else []
    try:
        return PROFILES[profile]().fit(documents, labels, out_of_scope=outside, unlabelled=unlabelled)
    except (ValueError, FastTextError) as error:
        raise TrainingRefused(f"these labels cannot be trained on with the profile {profile!r}: {error}") from error


def _enough(parts: Split) -> None:
    classes = {label for _, label in parts.train}
    if len(parts.train) < FEWEST_ROWS or len(classes) < 2:
        raise TrainingRefused(
            f"{len(parts.train)} labelled tickets of {len(classes)} articles are too few to train on: at least "
            f"{FEWEST_ROWS} of two articles are needed. Answer tickets on the desk, or import past ones."
        )


def _baseline(parts: Split) -> dict[str, Any]:
    """How TF-IDF with LinearSVC does on the same rows."""
    plain = Outcomes.of_baseline(parts.train, parts.held_out)
    return {"name": "tfidf_linearsvc", "accuracy": plain.accuracy, **plain.as_dict()}


def _beside(customer: Customer, parts: Split, progress: Callable[[str], object]) -> dict[str, Any]:
    """How the release in force does on the same rows, but for those that it was trained on."""
    try:
        old = serving.in_force(customer)
        if old is None:
            return {}
        known = seen.read(old.release)
    except (NoModel, LakeError) as error:
        progress(f"the release in force cannot be measured beside it: {error}")
        return {}
    rows = [row for row in parts.held_out if key_of(row[0]) not in known]
    return {"version": old.release.version, **Outcomes.of(old.classifier, rows).as_dict()}


def _golden(parts: Split, outside: Sequence[Document]) -> list[Document]:
    """Texts whose rankings must repeat wherever the model is opened: held-out ones first, and what says nothing."""
    held, trained = [document for document, _ in parts.held_out], [document for document, _ in parts.train]
    chosen = [*sorted(held, key=key_of), *sorted(trained, key=key_of)][: GOLDEN - 6]
    return [*chosen, *sorted(outside, key=key_of)[:5], Document("", "")]


def _store(
    release: Release, model: ArticleClassifier, *, golden: Sequence[Document], documents: Sequence[Document]
) -> None:
    """Write the artefact, then put it into the lake: the manifest last, so that what has one is whole."""
    folder = serving.folder_of(release)
    folder.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    customer = str(release.customer.uuid)
    with tempfile.TemporaryDirectory(dir=folder.parent, prefix=".train-") as draft:
        whole = Path(draft) / "model"
        metadata = {"customer": customer, "version": release.version}
        artifact.save(model, whole, key=serving.model_key(), golden=golden, metadata=metadata)
        release.digest = artifact.digest(whole)
        store, prefix = here.store(), layout.model_prefix(customer, release.version)
        for file in sorted(whole.iterdir(), key=lambda file: (file.name == "manifest.json", file.name)):
            store.put(prefix + file.name, file.read_bytes(), if_absent=True)
        release.measures["seen_sha256"] = seen.write(release, documents)
        whole.rename(folder)
