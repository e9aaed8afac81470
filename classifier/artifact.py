"""A trained classifier as a folder of files that are checked before they are opened; never pickle.

`model.bin` (fastText's own format), `linear.npz`, `vocabulary.json`, `classifier.json`, `golden.json` and the
manifest with a sha256 of each, signed with the installation's key: fastText opens a damaged file without complaint
and answers wrongly, or crashes the process.
"""

import hashlib
import hmac
import io
import json
import os
import secrets
import shutil
import zipfile
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from classifier.combination import Weights
from classifier.estimator import ArticleClassifier
from classifier.evidence import EvidenceRule
from classifier.fasttext_model import FastTextError, FastTextModel
from classifier.linear_model import LinearModel
from classifier.text import Document, TextPipeline

FORMAT = 2
MANIFEST, GOLDEN = "manifest.json", "golden.json"
_CONTENT = ("classifier.json", "linear.npz", "model.bin", "vocabulary.json")
_FILES = (*_CONTENT, GOLDEN)
_LARGEST_MANIFEST = 1 << 20


class ArtifactError(Exception):
    """The folder is not a complete, unaltered model of this installation; the message says which part is wrong."""


@dataclass(frozen=True)
class Manifest:
    """What a model folder holds: `files` maps names to sha256 (hex), `size` is in bytes, `metadata` is the caller's."""

    digest: str
    files: dict[str, str]
    size: int
    metadata: dict[str, str]
    format: int = FORMAT


def save(
    model: ArticleClassifier, folder: Path, *, key: bytes, golden: Sequence[Document], metadata: Mapping[str, str]
) -> Manifest:
    """Write the fitted model into a new folder, which appears complete or not at all.

    `golden` are documents whose rankings any process that opens the model must repeat.
    """
    if folder.exists():
        raise ArtifactError(f"{folder.name} exists already; a model is never changed, give a new name")
    folder.parent.mkdir(parents=True, exist_ok=True)
    partial = folder.parent / f".{folder.name}.{secrets.token_hex(8)}"
    partial.mkdir(mode=0o700)
    try:
        _write(model, partial, golden=golden)
        files = {name: _sha256(partial / name) for name in _FILES}
        size = sum((partial / name).stat().st_size for name in _FILES)
        manifest = Manifest(digest=_digest(files), files=files, size=size, metadata=dict(metadata))
        (partial / MANIFEST).write_bytes(_canonical({**asdict(manifest), "hmac": _signature(asdict(manifest), key)}))
        for path in (*partial.iterdir(), partial):
            _to_disk(path)
        partial.rename(folder)
        _to_disk(folder.parent)
    finally:
        shutil.rmtree(partial, ignore_errors=True)
    return manifest


def load(folder: Path, *, key: bytes) -> ArticleClassifier:
    """The model, after its manifest's signature and every file's checksum proved right; ArtifactError otherwise."""
    manifest = read_manifest(folder, key=key)
    contents = {name: _verified(folder / name, manifest.files[name]) for name in _FILES if name != "model.bin"}
    if _sha256(folder / "model.bin") != manifest.files["model.bin"]:
        raise ArtifactError(f"model.bin in {folder.name} is damaged or was changed; fetch the model again")
    try:
        return _restored(contents, folder / "model.bin")
    except (FastTextError, KeyError, TypeError, ValueError, zipfile.BadZipFile) as error:
        raise ArtifactError(f"{folder.name} is signed but does not fit this version: {error}") from error


def read_manifest(folder: Path, *, key: bytes) -> Manifest:
    """The manifest, its signature checked; the files themselves are not read."""
    values = _manifest_values(folder)
    signature = values.pop("hmac", None)
    expected = _signature(values, key).encode()
    if not isinstance(signature, str) or not hmac.compare_digest(signature.encode(), expected):
        raise ArtifactError(f"the manifest of {folder.name} is not signed with this installation's key")
    if values.get("format") != FORMAT:
        raise ArtifactError(f"{folder.name} has format {values.get('format')}; this version reads {FORMAT}")
    manifest = Manifest(**values)
    if sorted(manifest.files) != sorted(_FILES) or manifest.digest != _digest(manifest.files):
        raise ArtifactError(f"the manifest of {folder.name} does not list the files of a model")
    return manifest


def digest(folder: Path) -> str:
    """The hex name of the model's content (not of its golden set or metadata), as the manifest states it.

    Trust it only after `load` or `read_manifest`, which check the signature.
    """
    found = _manifest_values(folder).get("digest")
    if not isinstance(found, str):
        raise ArtifactError(f"the manifest of {folder.name} states no digest")
    return found


def _write(model: ArticleClassifier, folder: Path, *, golden: Sequence[Document]) -> None:
    model.fasttext_.save(folder / "model.bin")
    # Written in a fixed order with fixed times inside, so that equal models have equal digests.
    np.savez(folder / "linear.npz", allow_pickle=False, **model.linear_.arrays())
    (folder / "vocabulary.json").write_bytes(_canonical(model.linear_.vocabulary()))
    (folder / "classifier.json").write_bytes(_canonical(_described(model)))
    rankings = [ranking.as_dict() for ranking in model.rank(golden)]
    documents = [{"subject": document.subject, "body": document.body} for document in golden]
    (folder / GOLDEN).write_bytes(_canonical({"documents": documents, "rankings": rankings}))


def _described(model: ArticleClassifier) -> dict[str, Any]:
    return {
        "pipeline": model.pipeline_.as_dict(),
        "classes": model.classes_.tolist(),
        "weights": asdict(model.weights_),
        "rule": model.rule_.as_dict(),
        "report": model.report_,
        "linear": model.linear_.get_params(),
        "fasttext": model.fasttext_.get_params(),
        "settings": {"folds": model.folds, "jobs": model.jobs, "seed": model.seed},
    }


def _restored(contents: Mapping[str, bytes], binary: Path) -> ArticleClassifier:
    described = json.loads(contents["classifier.json"])
    with np.load(io.BytesIO(contents["linear.npz"]), allow_pickle=False) as archive:
        arrays = dict(archive)
    classes = described["classes"]
    model = ArticleClassifier(**described["settings"])
    model.pipeline_ = model.pipeline = TextPipeline.from_dict(described["pipeline"])
    model.classes_ = np.asarray(classes)
    weights = described["weights"]
    model.weights_ = Weights(**{**weights, "blend": tuple(weights["blend"]), "top": tuple(weights["top"])})
    model.rule_ = EvidenceRule.from_dict(described["rule"])
    model.report_ = described["report"]
    linear = {**described["linear"], "blend": tuple(described["linear"]["blend"])}
    model.linear_ = LinearModel(**linear).restore(arrays, json.loads(contents["vocabulary.json"]), classes)
    model.fasttext_ = FastTextModel(**described["fasttext"]).restore(binary, classes)
    return model


def _manifest_values(folder: Path) -> dict[str, Any]:
    try:
        with (folder / MANIFEST).open("rb") as file:
            values = json.loads(file.read(_LARGEST_MANIFEST), parse_constant=_refuse_constant)
    except OSError as error:
        raise ArtifactError(f"{folder.name} has no readable {MANIFEST}: {error.strerror}") from error
    except (ValueError, RecursionError) as error:
        raise ArtifactError(f"the manifest of {folder.name} is not JSON; fetch the model again") from error
    if not isinstance(values, dict):
        raise ArtifactError(f"the manifest of {folder.name} is not a JSON object")
    return values


def _refuse_constant(name: str) -> None:
    raise ValueError(f"{name} is not JSON")


def _verified(path: Path, sha256: str) -> bytes:
    """The file's bytes, read once, so that what is checked is what is used."""
    try:
        content = path.read_bytes()
    except OSError as error:
        raise ArtifactError(f"{path.name} cannot be read: {error.strerror}; fetch the model again") from error
    if hashlib.sha256(content).hexdigest() != sha256:
        raise ArtifactError(f"{path.name} in {path.parent.name} is damaged or was changed; fetch the model again")
    return content


def _sha256(path: Path) -> str:
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise ArtifactError(f"{path.name} cannot be read: {error.strerror}; fetch the model again") from error


def _digest(files: Mapping[str, str]) -> str:
    return hashlib.sha256(_canonical({name: files.get(name) for name in _CONTENT})).hexdigest()


def _signature(values: Mapping[str, Any], key: bytes) -> str:
    if len(key) < 16:
        raise ValueError(f"the signing key has {len(key)} bytes; give at least 16")
    return hmac.new(key, _canonical(values), "sha256").hexdigest()


def _canonical(values: Mapping[str, Any]) -> bytes:
    return json.dumps(values, sort_keys=True, separators=(",", ":"), ensure_ascii=True, allow_nan=False).encode()


def _to_disk(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
