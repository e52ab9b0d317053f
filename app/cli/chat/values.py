"""What travels between the session and its rim."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum
from typing import Any, TypeAlias

UmimEvent: TypeAlias = Mapping[str, Any]
"""An event as the Python API takes and gives it: a flat dictionary with `type`."""


class Tone(Enum):
    """How a text is meant, so that a terminal can set it apart."""

    SPEECH = "speech"
    SCENE = "scene"
    EVENT = "event"
    NOTE = "note"
    INSIDE = "inside"
    ERROR = "error"


@dataclass(frozen=True, slots=True)
class Show:
    """Print a text."""

    text: str
    tone: Tone


@dataclass(frozen=True, slots=True)
class Tell:
    """Give these events to the conversation."""

    events: tuple[UmimEvent, ...]


@dataclass(frozen=True, slots=True)
class Inspect:
    """Answer a question of the debugger, such as `tree --all`."""

    question: str


@dataclass(frozen=True, slots=True)
class Restart:
    """Forget the conversation's state and begin anew."""


@dataclass(frozen=True, slots=True)
class Leave:
    """The chat is over."""


Command: TypeAlias = Show | Tell | Inspect | Restart | Leave
