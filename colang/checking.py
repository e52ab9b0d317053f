"""All problems of a program at once, for editors and the `check` command."""

from __future__ import annotations

from collections.abc import Collection, Iterable

from colang.dialect import Dialect, dialect_of
from colang.errors import ColangError, ColangLoadError, ColangSyntaxError
from colang.expressions import FUNCTIONS
from colang.imports import ImportPath
from colang.loader import load_files
from colang.problems import Problem, Severity
from colang.program import program_of
from colang.resolve import resolve
from colang.source import Source, Span
from colang.v1 import check as check_1


def check(
    sources: Iterable[Source],
    *,
    dialect: Dialect = Dialect.TWO,
    imports: Iterable[str] = (),
    path: ImportPath | None = None,
    known_flows: Collection[str] = (),
    known_messages: Collection[str] | None = None,
) -> tuple[Problem, ...]:
    """What is wrong with a program, errors first, each in the order of the files.

    `imports` and `path` are for Colang 2.x, as in `load`. `known_flows` and `known_messages` are flows and bot messages
    that a Colang 1.0 program gets from elsewhere; `known_messages` is None where a model writes those that nobody has
    defined. Files of the other dialect get a warning, and so does what most likely is not meant; warnings about
    imported files are left out: they are not the author's.
    """
    given = list(sources)
    if dialect is Dialect.TWO:
        return _check_2(given, imports, path)
    own = [source for source in given if dialect_of(source.text) is Dialect.ONE]
    skipped = tuple(_skipped(source) for source in given if source not in own)
    return (*check_1(own, known_flows, known_messages), *skipped)


def _check_2(given: list[Source], imports: Iterable[str], path: ImportPath | None) -> tuple[Problem, ...]:
    loaded = load_files(given, imports, path)
    own = {source.name for source in given}
    resolution = resolve(loaded.files, FUNCTIONS, own)
    # Where files could not be read, a missing `main` or flow says nothing.
    lowering = () if loaded.errors else program_of(resolution.flows).errors
    errors = [_as_problem(error) for error in (*loaded.errors, *resolution.errors, *lowering)]
    files = [problem for problem in loaded.warnings if problem.span is None or problem.span.source in own]
    return (*errors, *files, *resolution.warnings)


def _as_problem(error: ColangError) -> Problem:
    if isinstance(error, ColangSyntaxError | ColangLoadError):
        return Problem(Severity.ERROR, error.message, error.span)
    return Problem(Severity.ERROR, str(error))


def _skipped(source: Source) -> Problem:
    message = "this file is Colang 2.x and is skipped in a 1.0 configuration"
    span = Span(source.name, 1, 1, 1, 1)
    return Problem(Severity.WARNING, message, span, 'set `colang_version: "2.x"`, or define something in it')
