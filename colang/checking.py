"""All problems of a program at once, for editors and the `check` command."""

from __future__ import annotations

from collections.abc import Collection, Iterable

from colang.errors import ColangError, ColangLoadError, ColangSyntaxError
from colang.imports import ImportPath
from colang.loader import load_files
from colang.problems import Problem, Severity
from colang.resolve import resolve
from colang.source import Source


def check(
    sources: Iterable[Source],
    *,
    functions: Collection[str],
    imports: Iterable[str] = (),
    path: ImportPath | None = None,
) -> tuple[Problem, ...]:
    """What is wrong with a Colang 2.x program, errors first, each in the order of the files.

    Problems of imported library files are left out unless they are errors: they are not the author's.
    """
    given = list(sources)
    own = {source.name for source in given}
    loaded = load_files(given, imports, path)
    resolution = resolve(loaded.files, functions)
    errors = [_as_problem(error) for error in (*loaded.errors, *resolution.errors)]
    warnings = [
        problem
        for problem in (*loaded.warnings, *resolution.warnings)
        if problem.span is None or problem.span.source in own
    ]
    return (*errors, *warnings)


def _as_problem(error: ColangError) -> Problem:
    if isinstance(error, ColangSyntaxError | ColangLoadError):
        return Problem(Severity.ERROR, error.message, error.span)
    return Problem(Severity.ERROR, str(error))
