"""The instructions of Colang 1.0: what a flow waits for, does, and how it slides in between.

A flow is a flat tuple of elements; targets are absolute indices into it, and an index past the end is its end.
Sliding elements are executed at once; acting ones are offered as the next step; the others wait.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Final, TypeAlias

from colang.expressions import Compiled
from colang.v1.arguments import Filling

ANYTHING: Final = "..."
"""A property or intent that anything matches."""

STOP: Final = "stop"
"""The bot intent that ends the turn and forgets every flow."""


@dataclass(frozen=True, slots=True)
class WaitUser:
    """`user NAME`; without a name any intent of the user."""

    intent: str | None


@dataclass(frozen=True, slots=True)
class WaitBot:
    """`bot ...`: any intent of the bot."""


@dataclass(frozen=True, slots=True)
class WaitEvent:
    """`event TYPE(p=v)`: the listed properties have to be equal."""

    type: str
    properties: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Utter:
    """`bot NAME` or `bot $variable`: the intent as written; `instructions` is the comment above it."""

    intent: str
    instructions: str | None = None


@dataclass(frozen=True, slots=True)
class RunAction:
    """`$result = execute NAME(p=v)`; a text `$name` among the arguments stands for the variable."""

    name: str
    arguments: Mapping[str, Any] = field(default_factory=dict)
    result: str | None = None
    filling: Filling = field(init=False, compare=False, repr=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "filling", Filling(self.arguments))


@dataclass(frozen=True, slots=True)
class CallFlow:
    """`do NAME` or `do $variable`."""

    name: str


@dataclass(frozen=True, slots=True)
class SetVariable:
    """`$name = expression`."""

    name: str
    value: Compiled


@dataclass(frozen=True, slots=True)
class JumpUnless:
    """`if` and `while`: go on where the condition holds, else at `target`.

    `variable` is the condition's name where it is nothing but a variable of the conversation.
    """

    condition: Compiled
    target: int
    variable: str | None = None


@dataclass(frozen=True, slots=True)
class Jump:
    """Go on at `target`."""

    target: int


@dataclass(frozen=True, slots=True)
class Branch:
    """`when`: each target is a waiting element; the last one that matches is taken."""

    targets: tuple[int, ...]


Waiting: TypeAlias = WaitUser | WaitBot | WaitEvent
Acting: TypeAlias = Utter | RunAction
Sliding: TypeAlias = SetVariable | JumpUnless | Jump
Element: TypeAlias = Waiting | Acting | Sliding | CallFlow | Branch


@dataclass(frozen=True, slots=True)
class FlowCode:
    """A flow of Colang 1.0, ready to run. `text` is the flow as written; prompts quote it."""

    name: str
    elements: tuple[Element, ...]
    priority: float = 1.0
    is_subflow: bool = False
    is_extension: bool = False
    allow_multiple: bool = False
    interruptible: bool = True
    is_system: bool = False
    text: str = field(default="", compare=False, repr=False)

    creates: frozenset[str] = field(init=False, compare=False, repr=False)
    """The types of events that the flow itself creates; for these it looks up while it waits for an event."""

    def __post_init__(self) -> None:
        object.__setattr__(self, "creates", frozenset(_created(self.elements)))


def _created(elements: tuple[Element, ...]) -> Iterator[str]:
    for element in elements:
        if isinstance(element, RunAction) and element.name == "create_event":
            event = element.arguments.get("event")
            if isinstance(event, Mapping):
                yield str(event["_type"])
