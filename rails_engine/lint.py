"""Everything that is wrong with a configuration, found without running any of it.

The configuration's own findings come first, then those of its Colang and of the Python beside it. Where nothing else
is wrong its program is put together, which finds what no file shows alone. Where `config.yml` cannot be read, its
Colang files are checked all the same, each as the dialect that it is written in, so that an author sees all there is
to mend at once.
"""

from __future__ import annotations

import ast
from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import colang
from colang import ColangError, Dialect, Source
from rails_engine.actions import code_folders
from rails_engine.assembly import MAIN, program_of
from rails_engine.canonical import canonical_program, system_definitions
from rails_engine.config import ConfigProblemsError, Problem, RailsConfig, Task
from rails_engine.errors import ConfigurationError, InvalidModelConfigurationError
from rails_engine.import_path import import_path
from rails_engine.llm import EMBEDDINGS, require_client


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
        findings += _of_colang(config.sources, dialect, config.config_path, config)
        findings += [*_of_models(config), *_of_code(config)]
        sound = not any(finding.is_error for finding in findings)
        return [*findings, *(_of_program(config, dialect) if sound else ())]
    sources = list(_files_below(path))
    for dialect in Dialect:
        written = [source for source in sources if colang.dialect_of(source.text) is dialect]
        findings += _of_colang(written, dialect, str(path), None)
    return findings


def _of_colang(
    sources: Iterable[Source], dialect: Dialect, config_path: str | None, config: RailsConfig | None
) -> list[Finding]:
    """What is wrong with these files; `config` is None where it cannot be read."""
    given = tuple(sources)
    if not given:
        return []
    imports = tuple(config.import_paths or ()) if config else ()
    path = import_path(config_path)
    flows, messages = _known_to_one(config) if dialect is Dialect.ONE else ((), None)
    problems = colang.check(
        given, dialect=dialect, imports=imports, path=path, known_flows=flows, known_messages=messages
    )
    texts = {source.name: source for source in given}
    return [Finding(p.severity is colang.Severity.ERROR, "\n".join(_lines(p, texts))) for p in problems]


def _known_to_one(config: RailsConfig | None) -> tuple[Collection[str], Collection[str] | None]:
    """The flows and bot messages of Colang 1.0 that no file of the configuration defines; see `colang.check`."""
    given = system_definitions()
    flows = [flow.name for flow in given.flows]
    if config is None or _may_write(config):
        return flows, None
    return flows, {*given.bot_messages, *config.bot_messages}


def _lines(problem: colang.Problem, texts: dict[str, Source]) -> Iterator[str]:
    yield str(problem)
    source = texts.get(problem.span.source) if problem.span else None
    if problem.span and source and source.line(problem.span.line).strip():
        yield colang.pointed(source.line(problem.span.line), problem.span.column)


def _may_write(config: RailsConfig) -> bool:
    """Whether there may be a model that writes bot messages which nobody has defined."""
    return _has_code(config) or any(model.type in _WRITERS for model in config.models)


_WRITERS: Final = frozenset({MAIN, Task.GENERATE_BOT_MESSAGE.value})


def _has_code(config: RailsConfig) -> bool:
    """Whether a `config.py` may bring engines and models that no file names."""
    return any((folder / "config.py").is_file() for folder in code_folders(config))


def _of_models(config: RailsConfig) -> Iterator[Finding]:
    """Entries that no client can be made for; beside a `config.py` all are taken."""
    if _has_code(config):
        return
    for index, entry in enumerate(config.models):
        try:
            if entry.type != EMBEDDINGS:
                require_client(entry)
        except InvalidModelConfigurationError as error:
            place = config.place(("models", index))
            yield Finding(True, str(Problem("error", str(error), place=place)))


def _of_program(config: RailsConfig, dialect: Dialect) -> Iterator[Finding]:
    """What keeps the flows, the rails that are listed and the models that they name from being one program."""
    try:
        if dialect is Dialect.ONE:
            canonical_program(config, {})
        else:
            program_of(config)
    except ConfigProblemsError as error:
        yield from (Finding(problem.severity == "error", str(problem)) for problem in error.problems)
    except (ColangError, ConfigurationError) as error:
        yield Finding(True, str(error))


def _of_code(config: RailsConfig) -> Iterator[Finding]:
    """What is no Python in the files that would be run."""
    for folder in code_folders(config):
        for file in (
            folder / "actions.py",
            folder / "config.py",
            *sorted((folder / "actions").rglob("*.py")),
        ):
            if file.is_file():
                yield from _of_python(file)


def _of_python(file: Path) -> Iterator[Finding]:
    try:
        ast.parse(file.read_bytes(), str(file))
    except SyntaxError as error:
        yield Finding(True, f"{file}:{error.lineno or 1}:{error.offset or 1}: error: {error.msg}")
    except (OSError, ValueError) as error:
        yield Finding(True, f"{file}:1:1: error: cannot be read: {error}")


def _files_below(path: Path) -> Iterator[Source]:
    folder = path if path.is_dir() else path.parent
    for file in sorted(folder.rglob("*.co")):
        yield Source(str(file), file.read_text(encoding="utf-8", errors="replace"))
