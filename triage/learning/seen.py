"""Which texts a release was trained on, kept by hash beside it in the lake: what it has seen certifies nothing."""

import hashlib
from collections.abc import Iterable

from classifier.text import Document
from triage.lake import here, layout
from triage.lake.errors import Damaged
from triage.learning.labelled import key_of
from triage.models import Release


def write(release: Release, documents: Iterable[Document]) -> str:
    """Store the texts' keys; the sha256 (hex) of what was stored, for the release's measures."""
    told = "\n".join(sorted({key_of(document) for document in documents})).encode("ascii")
    here.store().put(_key(release), told, if_absent=True)
    return hashlib.sha256(told).hexdigest()


def read(release: Release) -> frozenset[str]:
    """The keys of the texts that the release was trained on; Damaged where they are not those that were written."""
    told = here.store().get(_key(release))
    if hashlib.sha256(told).hexdigest() != release.measures["seen_sha256"]:
        raise Damaged(f"{_key(release)} does not hold what was written when the model was trained; train anew")
    return frozenset(told.decode("ascii").split("\n"))


def _key(release: Release) -> str:
    # beside the model's folder, not in it: nothing that serves a model needs it
    return f"{layout.model_prefix(str(release.customer.uuid), release.version).rstrip('/')}.seen.txt"
