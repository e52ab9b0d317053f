"""Kinds of events: two events that no flow of a program can tell apart are of one kind.

A flow looks at little of an event: its type, the name of the intent or action that it is about, and those properties
that some `event TYPE(p=v)` compares. So a program knows few kinds, whatever users say.
"""

from __future__ import annotations

from collections.abc import Collection, Hashable, Mapping
from typing import Any, Final, TypeAlias

from colang.v1.elements import ANYTHING, FlowCode, RunAction, Utter, WaitEvent, WaitUser

Kind: TypeAlias = Hashable

_FINISHED: Final = "InternalSystemActionFinished"

NAMED: Final[Mapping[str, str]] = {
    "UserIntent": "intent",
    "BotIntent": "intent",
    _FINISHED: "action_name",
}
"""Event type to the argument that names what it is about."""

OTHER: Final = ""
"""The kind of events that no flow knows."""


class Kinds:
    """The kinds of events that `flows` tell apart."""

    def __init__(self, flows: Collection[FlowCode]) -> None:
        elements = [element for flow in flows for element in flow.elements]
        self._intents = {each.intent for each in elements if isinstance(each, WaitUser)}
        self._utterances = {each.intent for each in elements if isinstance(each, Utter)}
        self._actions = {each.name for each in elements if isinstance(each, RunAction)}
        self._types = {name for flow in flows for name in flow.creates}
        self._compared: dict[str, list[Mapping[str, Any]]] = {}
        for element in elements:
            if isinstance(element, WaitEvent):
                self._types.add(element.type)
                wanted = {name: value for name, value in element.properties.items() if value != ANYTHING}
                if wanted:
                    self._compared.setdefault(element.type, []).append(wanted)
        self._told_apart = frozenset({*NAMED, *self._compared})
        self._ended = {name: (_FINISHED, name, True) for name in self._actions}
        self._other_ended = (_FINISHED, OTHER, True)

    def of_all(self, name: str) -> Kind | None:
        """The kind of every event of a type; None where that depends on more than its type."""
        return None if name in NAMED or name in self._compared else self.of(name, {})

    def of(self, name: str, arguments: Mapping[str, Any]) -> Kind:
        """The kind of an event."""
        if name == _FINISHED:
            action = arguments.get("action_name")
            ended = (
                self._ended.get(action, self._other_ended) if isinstance(action, str) else self._other_ended
            )
            return ended if arguments.get("status") == "success" else (*ended[:-1], False)
        if name not in self._told_apart:
            return name if name in self._types else OTHER
        if name == "UserIntent":
            return (name, _known(arguments.get("intent"), self._intents))
        if name == "BotIntent":
            return (name, _known(arguments.get("intent"), self._utterances))
        return (name, *(same(wanted, arguments) for wanted in self._compared[name]))


def _known(name: object, names: set[Any]) -> str:
    return name if isinstance(name, str) and name in names else OTHER


def same(wanted: Mapping[str, Any], found: Mapping[str, Any]) -> bool:
    """Whether an event's arguments are as `event TYPE(p=v)` wants them."""
    return all(value in (ANYTHING, found.get(name)) for name, value in wanted.items())
