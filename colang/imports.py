"""Imports: from `import a.b` to the files that it names.

A path is looked up as given, then below each folder of the search path, then in our standard library, then in the
packages that the caller names (such as `nemoguardrails.library`). A folder brings all `.co` files below it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType

from colang.problems import did_you_mean

LIBRARY = Path(__file__).parent / "library"
SUFFIX = ".co"
_NO_PACKAGES: Mapping[str, Path] = MappingProxyType({})


@dataclass(frozen=True, slots=True)
class ImportPath:
    """Where imports are looked up."""

    folders: tuple[Path, ...] = ()
    """The folders of `COLANGPATH`, and roots in which an import path is a file path."""
    packages: Mapping[str, Path] = field(default_factory=lambda: _NO_PACKAGES)
    """Dotted name to the folder that stands for it and for what is below it."""

    def find(self, path: str) -> tuple[Path, ...]:
        """The files that `path` names; empty if there are none."""
        for candidate in self.candidates(path):
            if files := _files(candidate):
                return files
        return ()

    def candidates(self, path: str) -> Iterator[Path]:
        """Where `path` may be, in order, without its suffix."""
        relative = Path(path if "/" in path else path.replace(".", "/"))
        for root in (Path(), *self.folders, LIBRARY):
            yield root / relative
        dotted = ".".join(relative.parts)
        for name, folder in self.packages.items():
            if dotted == name or dotted.startswith(f"{name}."):
                yield folder.joinpath(*relative.parts[len(name.split(".")) :])

    def unresolved(self, path: str) -> str:
        """Why `path` cannot be imported: where it was looked for, and what was perhaps meant."""
        looked = ", ".join(str(candidate) for candidate in self.candidates(path))
        hint = did_you_mean(path, self._known())
        message = f"`import {path}` resolves to no .co file or folder; looked for {looked}"
        return f"{message}; {hint}" if hint else message

    def _known(self) -> set[str]:
        roots = (*self.folders, LIBRARY)
        found = {entry.stem for root in roots if root.is_dir() for entry in root.glob(f"*{SUFFIX}")}
        for name, folder in self.packages.items():
            inside = {entry.parent for entry in folder.rglob(f"*{SUFFIX}")} if folder.is_dir() else set()
            found |= {".".join((name, *entry.relative_to(folder).parts)) for entry in inside}
        return found


def _files(candidate: Path) -> tuple[Path, ...]:
    if candidate.is_dir():
        files = tuple(sorted(path for path in candidate.rglob(f"*{SUFFIX}") if path.is_file()))
        if files:
            return files
    with_suffix = candidate if candidate.suffix == SUFFIX else candidate.with_name(candidate.name + SUFFIX)
    return (with_suffix,) if with_suffix.is_file() else ()
