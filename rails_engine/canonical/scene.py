"""A turn of Colang 1.0 as its effects see it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any, Final, Protocol

from colang.v1 import Program
from colang.v1 import State as Machine
from rails_engine.config import RailsConfig, parse_flow_ref
from rails_engine.llm import Completion
from rails_engine.options import GenerationOptions
from rails_engine.request import Passthrough
from rails_engine.scene import RunningRail
from rails_engine.services import TurnServices
from rails_engine.umim import EventDict
from rails_engine.values import value_class

TRIGGERED: Final = {
    "triggered_input_rail": "input",
    "triggered_output_rail": "output",
    "triggered_retrieval_rail": "retrieval",
    "triggered_tool_output_rail": "tool_output",
    "triggered_tool_input_rail": "tool_input",
}
"""The variable in which the system flows keep the rail that is being run, for each direction."""

SAID_BY: Final = "_said_by"
"""The variable that names the rail whose last act it was to speak: a rail that ends so has refused, as by `stop`."""


@value_class
class BotTurn:
    """What the bot is to do and say, as one call of the model wrote it down with the user's intent."""

    intent: str
    message: str


@dataclass(slots=True)
class Notes:
    """What one step of a turn leaves for a later one."""

    result: str | None = None
    """The variable that the result of the running action goes to."""
    messages: Sequence[Mapping[str, Any]] = ()
    """The caller's messages, in passthrough mode."""
    passthrough: Passthrough | None = None
    """What takes the model's place in this turn."""
    reasoning: str = ""
    """What the model thought that was last asked for an intent, a step or a value."""
    bot_turn: BotTurn | None = None
    """Where one call of the model brings all (`single_call`)."""
    is_filled: bool = False
    """The message is a predefined one that holds somebody else's words: it is for the output rails."""
    failed_rail: RunningRail | None = None
    """The rail whose action failed last."""


class Shown(Protocol):
    """Where an answer goes while it comes to be, where somebody reads along."""

    async def piece(self, text: str, reasoning: str = "") -> None:
        """A piece of what a model writes.

        Raises:
            StreamStoppedError: a rail refused it.
        """

    async def end(self, answer: Completion) -> str | None:
        """The model has written all of it: the text that went out, where output rails had a say in it, else None.

        Raises:
            StreamStoppedError: a rail refused the rest.
        """

    async def flush(self) -> None:
        """An action has ended: what it wrote is whole.

        Raises:
            StreamStoppedError: a rail refused it.
        """

    def said(self, script: str) -> None:
        """A message stands: it is given out unless it was piece by piece."""

    def called(self, tool_calls: Sequence[Any]) -> None:
        """Tool calls stand; their rails let them pass."""


@value_class
class CanonicalScene:
    """`machine` belongs to the turn. `events` is the whole history, this turn's events last."""

    program: Program
    machine: Machine
    events: list[EventDict]
    services: TurnServices
    options: GenerationOptions | None = None
    shown: Shown | None = None
    state: Any = None
    notes: Notes = field(default_factory=Notes)

    @property
    def config(self) -> RailsConfig:
        return self.services.resources.config

    @property
    def context(self) -> Mapping[str, Any]:
        """The conversation's variables."""
        return self.machine.variables

    @property
    def rail(self) -> RunningRail | None:
        """The rail that is being run, as the system flows name it."""
        variables = self.machine.variables
        for variable, direction in TRIGGERED.items():
            reference = variables.get(variable)
            if reference and isinstance(reference, str):
                return _running(direction, reference)
        return None

    @property
    def innermost(self) -> str | None:
        """The rail that acts or speaks now; output rails judge what an input rail says."""
        return next(filter(None, map(self.machine.variables.get, reversed(TRIGGERED))), None)

    @property
    def history(self) -> list[EventDict]:
        """The events as prompts quote them.

        Where models are asked ahead of the input rails, what those rails do is left out: a prompt must not depend on it.
        """
        return (
            self.events
            if self.services.speculative_calls is None
            else list(_without_input_rails(self.events))
        )

    def last(self, kind: str) -> EventDict | None:
        """The latest event of a type."""
        return next((event for event in reversed(self.events) if event["type"] == kind), None)


@lru_cache(maxsize=1024)
def _running(direction: str, reference: str) -> RunningRail:
    return RunningRail(direction, (parse_flow_ref(reference).name,))


def _without_input_rails(events: Iterable[EventDict]) -> Iterator[EventDict]:
    judging = False
    for event in events:
        judging = event["type"] == "StartInputRails" or (judging and event["type"] != "InputRailsFinished")
        if not judging:
            yield event
