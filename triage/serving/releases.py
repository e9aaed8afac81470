"""Releases as loaded models: verified each time one is loaded, kept in bounded memory, fetched from the lake.

A model is loaded on first use, never at import, so that a worker's parent holds none.
"""

import shutil
import tempfile
import threading
from collections import OrderedDict
from dataclasses import dataclass
from pathlib import Path

from classifier import artifact
from classifier.estimator import ArticleClassifier
from triage import keys
from triage.environment import environment
from triage.lake import here, layout
from triage.lake.errors import Damaged, NotThere
from triage.models import Customer, Release


class NoModel(Exception):
    """The release cannot be served; the message says why and how to mend it."""


@dataclass(frozen=True, kw_only=True)
class Serving:
    """A release with its verified model. `folder` holds its files, `digest` names their content."""

    release: Release
    classifier: ArticleClassifier
    digest: str
    folder: Path


_loaded: OrderedDict[Path, Serving] = OrderedDict()
_loading = threading.Lock()


def in_force(customer: Customer) -> Serving | None:
    """The customer's release in force, looked up anew each time; None where there is none.

    Raises NoModel where its files are damaged or missing, LakeUnavailable where they cannot be fetched now.
    """
    rows = Release.objects.of(customer).filter(status=Release.Status.IN_FORCE)
    release = rows.select_related("customer").defer("measures").first()  # measures are long, and this is asked often
    return load(release) if release else None


def load(release: Release) -> Serving:
    """The release's model, from memory where it is loaded already; raises as `in_force` does."""
    folder = folder_of(release)
    with _loading:
        kept = _loaded.get(folder)
        if kept is None or kept.digest != release.digest:
            kept = _verified(release, folder)
        _loaded[folder] = kept
        _loaded.move_to_end(folder)
        while len(_loaded) > environment().model_cache:
            _loaded.popitem(last=False)
        return kept


def model_key() -> bytes:
    """The key that manifests of models are signed with."""
    return keys.derive("models")


def folder_of(release: Release) -> Path:
    """Where this host keeps the release's files."""
    return environment().home / "models" / str(release.customer.uuid) / release.version


def _verified(release: Release, folder: Path) -> Serving:
    if folder.is_dir():
        try:
            return _opened(release, folder)
        except artifact.ArtifactError:
            shutil.rmtree(folder, ignore_errors=True)  # the lake has the files as they were made
    try:
        _fetch(release, folder)
        return _opened(release, folder)
    except (artifact.ArtifactError, Damaged, NotThere) as error:
        shutil.rmtree(folder, ignore_errors=True)
        raise NoModel(
            f"The model {release.version} is damaged or incomplete in the lake ({error}): restore it, or train anew."
        ) from error


def _opened(release: Release, folder: Path) -> Serving:
    """Load and verify; ArtifactError also where the folder holds a whole model, but another one."""
    classifier = artifact.load(folder, key=model_key())
    manifest = artifact.read_manifest(folder, key=model_key())
    if manifest.digest != release.digest or manifest.metadata.get("customer") != str(release.customer.uuid):
        raise artifact.ArtifactError(f"{folder.name} holds another model than the one that the release names")
    return Serving(release=release, classifier=classifier, digest=manifest.digest, folder=folder)


def _fetch(release: Release, folder: Path) -> None:
    """Copy the release's files from the lake; of several processes that do so the first to finish counts."""
    prefix = layout.model_prefix(str(release.customer.uuid), release.version)
    store = here.store()
    folder.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    with tempfile.TemporaryDirectory(dir=folder.parent, prefix=".fetch-") as draft:
        whole = Path(draft) / "model"
        whole.mkdir()
        for key in store.list(prefix):
            name = Path(key.removeprefix(prefix)).name
            (whole / name).write_bytes(store.get(key))
        try:
            whole.rename(folder)
        except OSError:
            if not folder.is_dir():  # else another process was faster
                raise
