"""A loaded Colang 1.0 program: its flows, indexed by the event that each begins with, and its messages."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, TypeAlias

from colang.v1.elements import (
    Branch,
    FlowCode,
    RunAction,
    Utter,
    WaitBot,
    WaitEvent,
    WaitUser,
)
from colang.v1.kinds import NAMED, Kinds
from colang.v1.moves import Moves
from colang.v1.state import Instance

Key: TypeAlias = tuple[str, str | None]
"""An event type and, for intents and actions, the name; None for any name."""


@dataclass(frozen=True, slots=True)
class Program:
    """Flows in the order in which they decide, examples of user intents, and texts of bot intents.

    `starters` are the places of flows by what their first element waits for; `searching` those of flows that begin
    with a sliding element, which have to be tried for every event.
    """

    flows: Mapping[str, FlowCode]
    user_messages: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    bot_messages: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    config: Any = None
    order: tuple[FlowCode, ...] = ()
    starters: Mapping[Key, tuple[int, ...]] = field(default_factory=dict)
    searching: tuple[int, ...] = ()
    kinds: Kinds = field(init=False, compare=False, repr=False)
    moves: Moves[Instance] = field(init=False, compare=False, repr=False, default_factory=Moves)
    """What was learnt while the program ran; it changes no outcome."""

    def __post_init__(self) -> None:
        object.__setattr__(self, "kinds", Kinds(self.flows.values()))

    def beginning_with(self, event: str, arguments: Mapping[str, Any]) -> list[FlowCode]:
        """The flows that this event may start, in order."""
        named = NAMED.get(event)
        places = {*self.starters.get((event, None), ()), *self.searching}
        if named is not None:
            places.update(self.starters.get((event, arguments.get(named)), ()))
        return [self.order[place] for place in sorted(places)]


def make_program(
    flows: Iterable[FlowCode],
    user_messages: Mapping[str, tuple[str, ...]] | None = None,
    bot_messages: Mapping[str, tuple[str, ...]] | None = None,
    config: Any = None,
) -> Program:
    """A program of these flows, of which later ones replace earlier ones of the same name, in their place."""
    by_name = {flow.name: flow for flow in flows}
    order = tuple(flow for flow in by_name.values() if not flow.is_subflow)
    starters: dict[Key, tuple[int, ...]] = {}
    searching: list[int] = []
    for place, flow in enumerate(order):
        keys = _first_keys(flow)
        if keys is None:
            searching.append(place)
        for key in keys or ():
            starters[key] = (*starters.get(key, ()), place)
    return Program(
        by_name, user_messages or {}, bot_messages or {}, config, order, starters, tuple(searching)
    )


def _first_keys(flow: FlowCode) -> list[Key] | None:
    """What the first element waits for; None where that can only be told by sliding there."""
    if not flow.elements:
        return []
    first = flow.elements[0]
    targets = [flow.elements[t] for t in first.targets] if isinstance(first, Branch) else [first]
    keys: list[Key] = []
    for element in targets:
        if isinstance(element, WaitUser):
            keys.append(("UserIntent", element.intent))
        elif isinstance(element, WaitBot):
            keys.append(("BotIntent", None))
        elif isinstance(element, Utter):
            keys.append(("BotIntent", element.intent))
        elif isinstance(element, WaitEvent):
            keys.append((element.type, None))
        elif isinstance(element, RunAction):
            keys.append(("InternalSystemActionFinished", element.name))
        else:
            return None
    return keys
