"""From sources to trees: every file of a program, its own and the imported ones, each read once.

Nothing here stops at the first problem, so that a check can report them all; what makes a program of the files is
`colang.resolve`.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from colang import tree
from colang.dialect import Dialect, dialect_of
from colang.errors import ColangError, ColangImportError, ColangLoadError, ColangSyntaxError
from colang.imports import ImportPath
from colang.problems import Problem, Severity
from colang.source import Source, Span
from colang.v2 import parse_all


@dataclass(frozen=True, slots=True)
class Loaded:
    """The trees of all files that could be read, in reading order, and what was wrong with the others."""

    files: tuple[tree.File, ...]
    errors: tuple[ColangError, ...]
    warnings: tuple[Problem, ...]


def load_files(
    sources: Iterable[Source], imports: Iterable[str] = (), path: ImportPath | None = None
) -> Loaded:
    """Read `sources`, then everything that they and `imports` import, transitively.

    A path is read once however often it is imported, so modules may import each other. Files of Colang 1.0 are
    skipped with a warning.
    """
    reader = _Reader(path or ImportPath())
    for source in sources:
        reader.read(source)
    for name in imports:
        reader.wanted.append((name, None))
    reader.follow_imports()
    return Loaded(tuple(reader.files), tuple(reader.errors), tuple(reader.warnings))


class _Reader:
    def __init__(self, path: ImportPath) -> None:
        self.files: list[tree.File] = []
        self.errors: list[ColangError] = []
        self.warnings: list[Problem] = []
        self.wanted: deque[tuple[str, Span | None]] = deque()
        self._path = path
        self._seen: set[Path] = set()
        self._names: set[str] = set()

    def read(self, source: Source) -> None:
        """Parse one file and note its imports."""
        self._seen.add(Path(source.name).resolve())
        if dialect_of(source.text) is Dialect.ONE:
            self._skip(source)
            return
        file, errors = parse_all(source)
        self.errors.extend(errors)
        self.files.append(file)
        self.wanted.extend((entry.path, entry.span) for entry in file.imports)

    def follow_imports(self) -> None:
        """Read what the files so far import, and what those import, until nothing is new."""
        while self.wanted:
            name, span = self.wanted.popleft()
            if name not in self._names:
                self._names.add(name)
                self._import(name, span)

    def _import(self, name: str, span: Span | None) -> None:
        files = self._path.find(name)
        if not files:
            self.errors.append(ColangImportError(self._path.unresolved(name), span))
        for file in files:
            if file.resolve() not in self._seen:
                self._read_file(file)

    def _read_file(self, file: Path) -> None:
        try:
            text = file.read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError) as error:
            self._seen.add(file.resolve())
            self.errors.append(ColangLoadError(f"{file} cannot be read: {error}"))
        else:
            self.read(Source(str(file), text))

    def _skip(self, source: Source) -> None:
        message = "this file is Colang 1.0 and is skipped in a 2.x configuration"
        hint = 'set `colang_version: "1.0"`, or rewrite `define flow` as `flow`'
        self.warnings.append(Problem(Severity.WARNING, message, Span(source.name, 1, 1, 1, 1), hint))


def first_error(loaded: Loaded) -> ColangError | None:
    """What `load` raises: a syntax error before anything else, since the rest may follow from it."""
    syntax = [error for error in loaded.errors if isinstance(error, ColangSyntaxError)]
    return next(iter((*syntax, *loaded.errors)), None)
