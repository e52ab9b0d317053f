"""Language tests as programs in the language.

A file holds many small programs, each behind a marker line `--- what it shows`. A comment `#: error: REGEX` or `#:
warning: REGEX` says what is reported on its line; `#^ ...`, on a line of its own, says it of the line above. A
program without such comments must be free of problems. Programs keep the line numbers of their file.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from colang.problems import Problem
from colang.source import Source

MARKER = "--- "
_EXPECTED = re.compile(r"#([:^]) (error|warning): (.*?)\s*$")


@dataclass(frozen=True)
class Chunk:
    """One program with the problems that it announces: (line, severity, pattern)."""

    name: str
    source: Source
    expected: tuple[tuple[int, str, str], ...]


def chunks(folder: Path) -> Iterator[Chunk]:
    """The programs of all files in `folder`."""
    for path in sorted(folder.glob("*.co")):
        name, start = "", 0
        lines = path.read_text(encoding="utf-8").split("\n")
        for number, line in enumerate([*lines, MARKER]):
            if line.startswith(MARKER):
                if name:
                    yield _chunk(path, name, lines, start, number)
                name, start = line.removeprefix(MARKER), number + 1


def _chunk(path: Path, name: str, lines: list[str], start: int, end: int) -> Chunk:
    text = "\n" * start + "\n".join(lines[start:end]) + "\n"
    expected = []
    for number, line in enumerate(lines[start:end], start + 1):
        match = _EXPECTED.search(line)
        if match:
            expected.append((number - (match[1] == "^"), match[2], match[3]))
    return Chunk(f"{path.stem}: {name}", Source(f"{path.name} ({name})", text), tuple(expected))


def disagreements(chunk: Chunk, problems: tuple[Problem, ...]) -> list[str]:
    """What was announced and not reported, and the reverse."""
    found = [
        (problem.span.line if problem.span else 0, problem.severity.value, str(problem))
        for problem in problems
    ]
    wrong = []
    for line, severity, pattern in chunk.expected:
        match = next(
            (item for item in found if item[:2] == (line, severity) and re.search(pattern, item[2])), None
        )
        if match is None:
            wrong.append(f"line {line}: expected {severity}: {pattern}")
        else:
            found.remove(match)
    return wrong + [f"line {line}: unexpected {text}" for line, _, text in found]
