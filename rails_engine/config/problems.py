"""A problem in a configuration: how bad it is, where it is, and what would have been right."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal, TypeAlias

from rails_engine.errors import ValidationError

Severity: TypeAlias = Literal["error", "warning"]
KeyPath: TypeAlias = tuple[str | int, ...]


@dataclass(frozen=True, slots=True)
class Place:
    """A point in a file; line and column are 1-based."""

    file: str
    line: int
    column: int

    def __str__(self) -> str:
        return f"{self.file}:{self.line}:{self.column}"


@dataclass(frozen=True, slots=True)
class Problem:
    """One problem. `place` is None where the configuration was not read from a file."""

    severity: Severity
    message: str
    key: KeyPath = ()
    place: Place | None = None

    def __str__(self) -> str:
        where = f"{self.place}: " if self.place else ""
        key = f"{dotted(self.key)}: " if self.key else ""
        return f"{where}{self.severity}: {key}{self.message}"


class ConfigProblemsError(ValidationError):
    """A configuration cannot be used; `problems` has every finding, warnings included."""

    def __init__(self, problems: Iterable[Problem]) -> None:
        self.problems = tuple(problems)
        super().__init__("\n".join(str(problem) for problem in self.errors))

    @property
    def errors(self) -> tuple[Problem, ...]:
        """The problems that keep the configuration from being used."""
        return tuple(problem for problem in self.problems if problem.severity == "error")


def dotted(key: KeyPath) -> str:
    """`("models", 0, "type")` as `models[0].type`."""
    text = ""
    for part in key:
        text += f"[{part}]" if isinstance(part, int) else f".{part}" if text else part
    return text
