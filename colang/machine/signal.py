"""An event on its way through the machine."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, TypeAlias

Scores: TypeAlias = tuple[float, ...]


@dataclass(slots=True)
class Signal:
    """An event on its way through the machine, with the scores of the chain that caused it."""

    name: str
    arguments: Mapping[str, Any]
    scores: Scores = ()
    flow_uid: str | None = None
    """The instance that an internal event is about: `$event.flow`."""
    action_uid: str | None = None
    unhandled: Signal | None = None
    """For UnhandledEvent: what was not handled."""
