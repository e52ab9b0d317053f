"""What goes into the stepper and what comes out of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final, TypeAlias

from colang.source import Span

INTERNAL_EVENTS: Final = frozenset(
    {
        "StartFlow",
        "FinishFlow",
        "StopFlow",
        "FlowStarted",
        "FlowFinished",
        "FlowFailed",
        "UnhandledEvent",
        "UserIntentLog",
        "BotIntentLog",
        "UserActionLog",
        "BotActionLog",
    }
)
"""Events by which flows steer each other and the log is kept; a flow that sends one sends it to the others alone."""


@dataclass(frozen=True, slots=True)
class Event:
    """Something that happened, or that the program wants the world to know: a name and flat arguments.

    An action event carries its `action_uid` among the arguments.
    """

    name: str
    arguments: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Send:
    """Tell the world: an event left the program (a custom one, or `Start…`/`Change…`/`Stop…Action`).

    `flow_uid` is the flow instance that sent it.
    """

    event: Event
    flow_uid: str = ""


@dataclass(frozen=True, slots=True)
class LogLine:
    """`log expr`."""

    text: str
    flow_uid: str = ""


@dataclass(frozen=True, slots=True)
class PrintLine:
    """`print expr`."""

    text: str


@dataclass(frozen=True, slots=True)
class Fault:
    """A flow did something impossible; a `ColangError` event says so inside the program, this to its author."""

    text: str
    flow_id: str
    span: Span

    def __str__(self) -> str:
        return f"{self.span}: in flow `{self.flow_id}`: {self.text}"


@dataclass(frozen=True, slots=True)
class History:
    """A line of the interaction history that prompts quote: `kind` is `user_intent`, `bot_action` or the like.

    `flow_id` is the intent or the action as text; `parameter` its first argument; `intent_flow_id` the intent that
    an action belongs to.
    """

    kind: str
    flow_id: str
    parameter: str | None = None
    intent_flow_id: str | None = None


Command: TypeAlias = Send | LogLine | PrintLine | Fault | History
