"""The linter: every problem of a configuration at once, where it is, and what would be right."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import typer

from app.bundled import find_config
from app.cli.progress import progress


def run_check(paths: Sequence[str], *, strict: bool) -> int:
    """Print the problems of each configuration and a closing line; the exit status.

    Raises:
        NoSuchConfigError: there is nothing at one of the paths.
    """
    return max(_check(find_config(path), strict=strict) for path in paths)


def _check(path: Path, *, strict: bool) -> int:
    from rails_engine import findings_of

    with progress(f"Checking {path} ..."):
        findings = findings_of(path)
    for finding in findings:
        typer.echo(finding.text)
    errors = sum(finding.is_error for finding in findings)
    warnings = len(findings) - errors
    typer.echo(f"{path}: {_count(errors, 'error')}, {_count(warnings, 'warning')}")
    return int(bool(errors or (strict and warnings)))


def _count(number: int, noun: str) -> str:
    return f"{number or 'no'} {noun}{'' if number == 1 else 's'}"
