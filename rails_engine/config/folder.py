"""The files of a configuration folder.

The tree is walked in the order of names, through symbolic links, each real folder once. Hidden folders are left out:
mounted volumes keep second copies of every file there. `.railsignore` (in the folder or the nearest one above) lists
patterns of file names or relative paths to leave out.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass, field
from fnmatch import fnmatch
from pathlib import Path

from rails_engine.config.problems import ConfigProblemsError, Place, Problem
from rails_engine.errors import InvalidRailsConfigurationError

MAX_FILES = 10_000
MAX_FILE_BYTES = 32 << 20
YAML_SUFFIXES = (".yml", ".yaml")
IGNORE_FILE = ".railsignore"


@dataclass(slots=True)
class FolderFiles:
    """What there is to load, each kind in the order in which it is merged."""

    root: Path
    yaml: list[Path] = field(default_factory=list)
    colang: list[Path] = field(default_factory=list)
    documents: list[Path] = field(default_factory=list)


def scan(path: Path) -> FolderFiles:
    """The files below `path`, or `path` itself where it is a YAML file.

    Raises:
        InvalidRailsConfigurationError: there is nothing at `path`, or far too much.
    """
    if path.is_file() and path.suffix in YAML_SUFFIXES:
        return FolderFiles(path.parent, yaml=[path])
    if not path.is_dir():
        raise InvalidRailsConfigurationError(_missing(path))
    files = FolderFiles(path)
    patterns = _ignore_patterns(path)
    for count, file in enumerate(_walk(path, path, set())):
        if count > MAX_FILES:
            raise InvalidRailsConfigurationError(
                f"{path}: more than {MAX_FILES:,} files; is this a configuration?"
            )
        if not _ignored(file.relative_to(path), patterns):
            _sort_in(files, file)
    files.yaml.sort(key=lambda file: (len(file.parts), file.stem != "config", file))
    return files


def _missing(path: Path) -> str:
    if path.exists():
        return f"Invalid config path {path}: a configuration is a folder or a .yml file, not a {path.suffix} file."
    parent = next((folder for folder in path.parents if folder.is_dir()), Path())
    return (
        f"Invalid config path {path}: there is no such folder or file (the nearest that exists is {parent})."
    )


def _sort_in(files: FolderFiles, file: Path) -> None:
    if file.suffix in YAML_SUFFIXES:
        files.yaml.append(file)
    elif file.suffix == ".co":
        files.colang.append(file)
    elif file.suffix == ".md":
        files.documents.append(file)


def _walk(folder: Path, root: Path, seen: set[str]) -> Iterator[Path]:
    real = os.path.realpath(folder)
    if real in seen:
        return
    seen.add(real)
    entries = sorted(folder.iterdir())
    yield from (entry for entry in entries if entry.is_file())
    for entry in entries:
        if entry.is_dir() and not entry.name.startswith(".") and entry.name != "__pycache__":
            yield from _walk(entry, root, seen)


def _ignore_patterns(path: Path) -> list[str]:
    for folder in (path, *path.resolve().parents):
        file = folder / IGNORE_FILE
        if file.is_file():
            lines = (line.strip() for line in read_text(file).splitlines())
            return [line for line in lines if line and not line.startswith("#")]
    return []


def _ignored(relative: Path, patterns: list[str]) -> bool:
    name, whole = relative.name, relative.as_posix()
    return any(
        fnmatch(name, pattern) or fnmatch(whole, pattern) or whole.startswith(f"{pattern.rstrip('/')}/")
        for pattern in patterns
    )


def read_text(file: Path) -> str:
    """The text of a file in UTF-8, with or without a byte order mark.

    Raises:
        ConfigProblemsError: it is too large, no UTF-8, or cannot be read.
    """
    try:
        size = file.stat().st_size
        if size > MAX_FILE_BYTES:
            raise _unreadable(file, f"larger than {MAX_FILE_BYTES >> 20} MiB")
        return file.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as error:
        raise _unreadable(file, f"not UTF-8 text (byte {error.start})") from error
    except OSError as error:
        raise _unreadable(file, error.strerror or str(error)) from error


def _unreadable(file: Path, reason: str) -> ConfigProblemsError:
    return ConfigProblemsError([Problem("error", f"cannot be read: {reason}", place=Place(str(file), 1, 1))])
