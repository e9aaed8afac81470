"""A real small model, trained once for all tests that ask, and releases of it for their customers."""

from functools import cache
from pathlib import Path
from typing import Any

from classifier import artifact
from classifier.estimator import ArticleClassifier
from classifier.text import Document
from tests import factories, past
from triage import serving
from triage.lake import here, layout
from triage.models import Customer, Release


@cache
def model() -> ArticleClassifier:
    """Knows the articles of `past`."""
    rows = past.tickets(160, seed=1)
    return ArticleClassifier(folds=3).fit(
        [document for document, _ in rows], [label for _, label in rows], out_of_scope=past.outside()
    )


def release(customer: Customer, *, status: str = Release.Status.IN_FORCE, **values: Any) -> Release:
    """A release of that model with its files in this host's folder."""
    made = factories.release(customer, **{"status": status, "in_force_at": factories.NOW, **values})
    golden = [document for document, _ in past.tickets(5, seed=3)] + [Document("", "")]
    metadata = {"customer": str(customer.uuid), "version": made.version}
    saved = artifact.save(model(), serving.folder_of(made), key=serving.model_key(), golden=golden, metadata=metadata)
    Release.objects.filter(pk=made.pk).update(digest=saved.digest)
    made.refresh_from_db()
    return made


def upload(made: Release) -> None:
    """Put the release's files into the lake."""
    for file in serving.folder_of(made).iterdir():
        here.store().put(key(made, file.name), file.read_bytes())


def key(made: Release, name: str) -> str:
    """Where one of the release's files lies in the lake."""
    return layout.model_prefix(str(made.customer.uuid), made.version) + name


def damage(file: Path) -> None:
    """Change one byte in the middle of a file."""
    content = bytearray(file.read_bytes())
    content[len(content) // 2] ^= 1
    file.write_bytes(content)
