"""What goes into the stepper and what comes out of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, TypeAlias


@dataclass(frozen=True, slots=True)
class Event:
    """Something that happened, or that the program wants the world to know: a name and flat arguments."""

    name: str
    arguments: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Send:
    """Tell the world: an event left the program (a custom one, or `Start…`/`Change…`/`Stop…Action`)."""

    event: Event


@dataclass(frozen=True, slots=True)
class LogLine:
    """`log expr`."""

    text: str


@dataclass(frozen=True, slots=True)
class PrintLine:
    """`print expr`."""

    text: str


Command: TypeAlias = Send | LogLine | PrintLine
