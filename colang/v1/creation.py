"""`create event` as the machine goes through it: what is known of the event before it is made."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final, TypeAlias

from colang.events import Send
from colang.v1.arguments import Filling
from colang.v1.elements import RunAction
from colang.v1.kinds import Kind, Kinds

CREATE: Final = "create_event"
CREATED: Final[Mapping[str, Any]] = {
    "type": "InternalSystemActionFinished",
    "action_name": CREATE,
    "status": "success",
    "is_success": True,
}
"""What flows hear when their event has been created, just before they hear the event."""

_OTHERWISE_HEARD: Final = frozenset({"StartInternalSystemAction", "ContextUpdate", "start_flow"})
"""Events that mean more to the machine than that flows look at them."""


@dataclass(frozen=True, slots=True)
class Creation:
    """An event to create: its type, its other arguments as the variables fill them in, and its kind."""

    type: str
    fill: Filling
    kind: Kind


@dataclass(frozen=True, slots=True)
class Creating(Send):
    """The decision to create an event of which this is known."""

    creation: Creation = field(kw_only=True, compare=False)


Create: TypeAlias = Callable[[Creation], Mapping[str, Any] | None]
"""Makes the event, with its type among its arguments, and takes note of it; or None, where it takes more than that."""


def creation_of(element: RunAction, kinds: Kinds) -> Creation | None:
    """What `create event` creates, where its type tells all that flows want to know; else None."""
    event = element.arguments.get("event")
    if element.name != CREATE or not isinstance(event, Mapping):
        return None
    name = event.get("_type")
    if not isinstance(name, str) or name.startswith("$") or name in _OTHERWISE_HEARD:
        return None
    kind = kinds.of_all(name)
    others = {key: value for key, value in event.items() if key != "_type"}
    return Creation(name, Filling(others), kind) if kind is not None else None
