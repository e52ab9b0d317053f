"""Everything that is wrong with a configuration, found without running any of it.

The configuration's own findings come first, then those of its Colang. Where `config.yml` cannot be read, its Colang files
are checked all the same, each as the dialect that it is written in, so that an author sees all there is to mend at once.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

import colang
from colang import Dialect, Source
from colang.v1 import definitions_of
from rails_engine.config import RailsConfig
from rails_engine.import_path import import_path
from rails_engine.library import COLANG_1


@dataclass(frozen=True, slots=True)
class Finding:
    """One problem; `text` begins with its place, and shows the line where it has one."""

    is_error: bool
    text: str


def findings_of(path: Path) -> list[Finding]:
    """All problems of the configuration at `path`.

    Raises:
        InvalidRailsConfigurationError: there is no configuration at this path.
    """
    config, problems = RailsConfig.inspect(path)
    findings = [Finding(problem.severity == "error", str(problem)) for problem in problems]
    if config is not None:
        dialect = Dialect.ONE if config.colang_version == Dialect.ONE.value else Dialect.TWO
        imports = tuple(config.import_paths or ())
        return [*findings, *_of_colang(config.sources, dialect, imports, config.config_path)]
    sources = list(_files_below(path))
    for dialect in Dialect:
        written = [source for source in sources if colang.dialect_of(source.text) is dialect]
        findings += _of_colang(written, dialect, (), str(path))
    return findings


def _of_colang(
    sources: Iterable[Source], dialect: Dialect, imports: tuple[str, ...], config_path: str | None
) -> list[Finding]:
    given = tuple(sources)
    if not given:
        return []
    known = _library_flows() if dialect is Dialect.ONE else ()
    path = import_path(config_path)
    problems = colang.check(given, dialect=dialect, imports=imports, path=path, known_flows=known)
    texts = {source.name: source for source in given}
    return [Finding(p.severity is colang.Severity.ERROR, "\n".join(_lines(p, texts))) for p in problems]


def _lines(problem: colang.Problem, texts: dict[str, Source]) -> Iterator[str]:
    yield str(problem)
    source = texts.get(problem.span.source) if problem.span else None
    if problem.span and source and source.line(problem.span.line).strip():
        yield f"  {source.line(problem.span.line)}"
        yield f"  {' ' * (problem.span.column - 1)}^"


def _library_flows() -> frozenset[str]:
    """The names of the Colang 1.0 flows that every configuration has."""
    files = sorted(COLANG_1.glob("*.co"))
    sources = [Source(file.name, file.read_text(encoding="utf-8")) for file in files]
    return frozenset(flow.name for flow in definitions_of(sources).flows)


def _files_below(path: Path) -> Iterator[Source]:
    folder = path if path.is_dir() else path.parent
    for file in sorted(folder.rglob("*.co")):
        yield Source(str(file), file.read_text(encoding="utf-8", errors="replace"))
