"""A turn of Colang 1.0 as its effects see it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

from colang.v1 import Program
from colang.v1 import State as Machine
from rails_engine.config import RailsConfig
from rails_engine.options import GenerationOptions
from rails_engine.services import TurnServices
from rails_engine.umim import EventDict


class Shown(Protocol):
    """Where an answer goes while it comes to be, where somebody reads along."""

    async def piece(self, text: str) -> None:
        """A piece of what a model writes."""

    async def end(self) -> None:
        """The model has written all of it."""

    def said(self, script: str) -> None:
        """A message stands: it is given out unless it was piece by piece."""


@dataclass(frozen=True, slots=True)
class CanonicalScene:
    """`machine` belongs to the turn. `events` is the whole history, this turn's events last."""

    program: Program
    machine: Machine
    events: list[EventDict]
    services: TurnServices
    options: GenerationOptions | None = None
    shown: Shown | None = None
    state: Any = None
    notes: dict[str, Any] = field(default_factory=dict)
    """What one step of the turn leaves for a later one, such as the message of a single call."""

    @property
    def config(self) -> RailsConfig:
        return self.services.resources.config

    @property
    def context(self) -> Mapping[str, Any]:
        """The conversation's variables."""
        return self.machine.variables

    def last(self, kind: str) -> EventDict | None:
        """The latest event of a type."""
        return next((event for event in reversed(self.events) if event["type"] == kind), None)
