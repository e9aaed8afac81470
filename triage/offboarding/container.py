"""The export as a file: a ZIP archive or a folder, complete or not there, every part with its SHA-256."""

import hashlib
import json
import os
import shutil
import zipfile
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path, PurePosixPath
from typing import IO, Any, Self

MANIFEST = "manifest.json"
Tick = Callable[[], object]


def never() -> None:
    """For whoever has nothing to be kept alive."""


class ExportBroken(Exception):
    """The export is not what it should be; the message names the part."""


class Container:
    """One export being written, beside its final name until `finish`."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.draft = path.with_name(f".{path.name}.partial")
        self.files: dict[str, dict[str, Any]] = {}
        self._zip: zipfile.ZipFile | None = None

    def __enter__(self) -> Self:
        """Begin anew: what an earlier try left is thrown away."""
        remove(self.draft)
        self.path.parent.mkdir(parents=True, exist_ok=True)
        if is_zip(self.path):
            opener = os.open(self.draft, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600)
            self._zip = zipfile.ZipFile(os.fdopen(opener, "w+b"), "w", zipfile.ZIP_DEFLATED, compresslevel=3)
        else:
            self.draft.mkdir(mode=0o700)
        return self

    def __exit__(self, kind: object, *_: object) -> None:
        """Leave nothing behind where it went wrong."""
        if self._zip is not None and self._zip.fp is not None:
            file = self._zip.fp
            self._zip.close()
            file.close()
        if kind is not None:
            remove(self.draft)

    def write(self, name: str, parts: Iterable[bytes]) -> int:
        """One file of these parts, each a line or more; the number of lines."""
        digest, size, lines = hashlib.sha256(), 0, 0
        with self._opened(name) as file:
            for part in parts:
                file.write(part)
                digest.update(part)
                size += len(part)
                lines += part.count(b"\n")
        self.files[name] = {"sha256": digest.hexdigest(), "bytes": size, "lines": lines}
        return lines

    def finish(self, manifest: dict[str, Any]) -> None:
        """Write the manifest and give the export its name, for good on disk."""
        text = json.dumps({**manifest, "files": self.files}, ensure_ascii=False, indent=1, sort_keys=True) + "\n"
        with self._opened(MANIFEST) as file:
            file.write(text.encode())
        if self._zip is not None:
            raw = self._zip.fp
            self._zip.close()
            assert raw is not None  # noqa: S101 - open until now
            raw.flush()
            os.fsync(raw.fileno())
            raw.close()
        self.draft.rename(self.path)
        folder = os.open(self.path.parent, os.O_RDONLY)
        os.fsync(folder)
        os.close(folder)

    @contextmanager
    def _opened(self, name: str) -> Iterator[IO[bytes]]:
        _safe(name)
        if self._zip is not None:
            with self._zip.open(name, "w", force_zip64=True) as file:
                yield file
            return
        place = self.draft / name
        place.parent.mkdir(parents=True, exist_ok=True)
        with place.open("xb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())


def check(path: Path, *, tick: Tick = never) -> dict[str, Any]:
    """The manifest of an export that is complete and readable: every part is there, whole, and its lines are JSON."""
    try:
        return _check_zip(path, tick) if is_zip(path) else _check_folder(path, tick)
    except (OSError, zipfile.BadZipFile, ValueError, KeyError) as error:
        raise ExportBroken(f"{path} is not a complete export: {error}") from error


def digest_of(path: Path) -> str:
    """SHA-256 (hex) of a ZIP file, or of a folder's manifest, which names the digest of every part."""
    with (path if is_zip(path) else path / MANIFEST).open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def is_zip(path: Path) -> bool:
    """What the name asks for."""
    return path.suffix.lower() == ".zip"


def is_export(path: Path) -> bool:
    """Whether an export, and not somebody's other file or folder, has this name."""
    return zipfile.is_zipfile(path) if is_zip(path) else (path / MANIFEST).is_file()


def remove(path: Path) -> None:
    """Take a file or folder away, if it is there."""
    if path.is_dir():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


def _check_zip(path: Path, tick: Tick) -> dict[str, Any]:
    with zipfile.ZipFile(path) as archive:
        manifest: dict[str, Any] = json.loads(archive.read(MANIFEST))
        names = {one for one in archive.namelist() if one != MANIFEST}
        return _checked(manifest, names, archive.open, tick)


def _check_folder(path: Path, tick: Tick) -> dict[str, Any]:
    manifest: dict[str, Any] = json.loads((path / MANIFEST).read_bytes())
    names = {one.relative_to(path).as_posix() for one in path.rglob("*") if one.is_file()} - {MANIFEST}
    return _checked(manifest, names, lambda name: (path / name).open("rb"), tick)


def _checked(
    manifest: dict[str, Any], names: set[str], opened: Callable[[str], IO[bytes]], tick: Tick
) -> dict[str, Any]:
    if different := names ^ set(manifest["files"]):
        raise ValueError(f"{min(different)} is missing, or not in the manifest")
    for name, told in manifest["files"].items():
        digest, size, lines = hashlib.sha256(), 0, 0
        with opened(name) as file:
            for part in file:
                tick()
                digest.update(part)
                size += len(part)
                lines += part.count(b"\n")
                if name.endswith(".jsonl"):
                    json.loads(part)
        if (digest.hexdigest(), size, lines) != (told["sha256"], told["bytes"], told["lines"]):
            raise ValueError(f"{name} is damaged")
    return manifest


def _safe(name: str) -> None:
    parts = PurePosixPath(name).parts
    if not parts or name.startswith("/") or ".." in parts:
        raise ExportBroken(f"{name!r} cannot be a file of an export")
