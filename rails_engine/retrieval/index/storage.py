"""Folders that are written as a whole or not at all, and trusted only as far as their manifest goes.

A save writes its files under a fresh name, flushes them to the disk, and then replaces `manifest.json` in one step.
The manifest holds the SHA-256 and size of each file, so a reader sees the old content or the new, never a mixture,
and a changed byte is an error. Files that the manifest does not name are leftovers and are removed by the next save;
saves of several processes wait for one another, lest one removes what another is writing.
"""

from __future__ import annotations

import hashlib
import json
import os
import secrets
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from pathlib import Path

from rails_engine.retrieval.errors import IndexFormatError, IndexStorageError

FORMAT = 1
MANIFEST = "manifest.json"
LOCK = "lock"
_BLOCK = 1 << 20


@dataclass(frozen=True, slots=True)
class StoredFile:
    """A file of the folder: its name there, its length in bytes, its SHA-256 in hex."""

    name: str
    size: int
    sha256: str


@dataclass(frozen=True, slots=True)
class Manifest:
    """What a folder says about itself; `files` maps a role such as `vectors` to the file that plays it."""

    kind: str
    model: str
    dimension: int
    count: int
    files: Mapping[str, StoredFile]
    format: int = FORMAT


@dataclass(frozen=True, slots=True)
class Content:
    """What is to be saved; each writer is given the path to write to."""

    kind: str
    model: str
    dimension: int
    count: int
    writers: Mapping[str, Callable[[Path], None]]


def save_folder(folder: Path, content: Content) -> None:
    """Replace what `folder` holds by `content`, in one step.

    Raises:
        IndexStorageError: the disk is full or the folder cannot be written; the former content is intact.
    """
    generation = secrets.token_hex(8)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with _one_at_a_time(folder):
            files = _write_files(folder, generation, content.writers)
            manifest = Manifest(content.kind, content.model, content.dimension, content.count, files)
            _replace_manifest(folder, generation, manifest)
            _remove_leftovers(folder, {stored.name for stored in files.values()})
    except (OSError, RuntimeError) as error:  # faiss reports a failed write as RuntimeError
        _remove_generation(folder, generation)
        raise IndexStorageError(
            f"{folder}: the index could not be saved ({error}); the former one is intact"
        ) from error


def read_manifest(folder: Path) -> Manifest:
    """The manifest of `folder`, its files not yet checked.

    Raises:
        IndexFormatError: there is none, or it is of another format.
    """
    try:
        raw = json.loads((folder / MANIFEST).read_text(encoding="utf-8"))
        files = {role: StoredFile(**stored) for role, stored in raw.pop("files").items()}
        manifest = Manifest(files=files, **raw)
    except FileNotFoundError:
        raise IndexFormatError(folder, "there is no saved index here") from None
    except (OSError, ValueError, TypeError, KeyError, AttributeError) as error:
        raise IndexFormatError(folder, f"{MANIFEST} cannot be read ({error})") from error
    if manifest.format != FORMAT:
        raise IndexFormatError(folder, f"format {manifest.format} was written by another version")
    return manifest


def open_folder(folder: Path, kind: str, model: str) -> tuple[Manifest, dict[str, Path]]:
    """The manifest and the path of each role, every byte checked against the manifest.

    Raises:
        IndexFormatError: another kind or model, a file missing or changed.
    """
    manifest = read_manifest(folder)
    if manifest.kind != kind:
        raise IndexFormatError(folder, f"holds an index of kind {manifest.kind!r}, not {kind!r}")
    if manifest.model != model:
        raise IndexFormatError(folder, f"holds vectors of model {manifest.model!r}, not {model!r}")
    return manifest, {role: _checked(folder, stored) for role, stored in manifest.files.items()}


def sha256_of(path: Path) -> str:
    """The SHA-256 of a file, in hex."""
    digest = hashlib.sha256()
    with path.open("rb") as stream:
        while block := stream.read(_BLOCK):
            digest.update(block)
    return digest.hexdigest()


@contextmanager
def _one_at_a_time(folder: Path) -> Iterator[None]:
    """Holds the folder's lock, which ends with the process at the latest; without such locks, as on Windows, nothing."""
    try:
        import fcntl
    except ImportError:
        yield
        return
    with (folder / LOCK).open("wb") as stream:
        fcntl.flock(stream, fcntl.LOCK_EX)
        yield


def _write_files(
    folder: Path, generation: str, writers: Mapping[str, Callable[[Path], None]]
) -> dict[str, StoredFile]:
    files = {}
    for role, write in writers.items():
        path = folder / f"{role}.{generation}"
        write(path)
        _flush(path)
        files[role] = StoredFile(path.name, path.stat().st_size, sha256_of(path))
    return files


def _replace_manifest(folder: Path, generation: str, manifest: Manifest) -> None:
    fresh = folder / f"{MANIFEST}.{generation}"
    fresh.write_text(json.dumps(asdict(manifest), indent=1), encoding="utf-8")
    _flush(fresh)
    fresh.replace(folder / MANIFEST)


def _flush(path: Path) -> None:
    with path.open("rb") as stream:
        os.fsync(stream.fileno())


def _checked(folder: Path, stored: StoredFile) -> Path:
    path = folder / Path(stored.name).name
    try:
        changed = path.stat().st_size != stored.size or sha256_of(path) != stored.sha256
    except OSError as error:
        raise IndexFormatError(folder, f"{stored.name} cannot be read ({error})") from error
    if changed:
        raise IndexFormatError(folder, f"{stored.name} is not the file that was saved")
    return path


def _remove_generation(folder: Path, generation: str) -> None:
    for path in folder.glob(f"*.{generation}"):
        path.unlink(missing_ok=True)


def _remove_leftovers(folder: Path, current: set[str]) -> None:
    """What cannot be removed now, since somebody reads it, say, the next save removes."""
    for path in folder.glob("*.????????????????"):
        if path.name not in current and _is_generation(path.suffix[1:]):
            with suppress(OSError):
                path.unlink(missing_ok=True)


def _is_generation(suffix: str) -> bool:
    return len(suffix) == 16 and all(letter in "0123456789abcdef" for letter in suffix)
