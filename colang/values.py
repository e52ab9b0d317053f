"""The values of a running program, besides numbers, text, lists, dicts, sets, tuples and None.

References name their target by uid and are resolved against the state at hand: so a value can be shared by two
forks of a conversation, and written to JSON, without dragging its target along.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, TypeAlias

from colang import regex
from colang.errors import ColangValueError

Value: TypeAlias = Any


@dataclass(frozen=True, slots=True)
class FlowRef:
    """A flow instance."""

    uid: str

    def __str__(self) -> str:
        return f"FlowState[uid={self.uid}]"


@dataclass(frozen=True, slots=True)
class ActionRef:
    """An action, running or ended."""

    uid: str

    def __str__(self) -> str:
        return f"Action[uid={self.uid}]"


@dataclass(frozen=True, slots=True)
class EventRef:
    """An event that was matched, or an action event that was sent."""

    name: str
    arguments: Mapping[str, Value]
    flow_uid: str | None = None
    action_uid: str | None = None

    def __str__(self) -> str:
        return f"{self.name} {dict(self.arguments)}"


@dataclass(frozen=True, slots=True)
class Status:
    """`$ref.status`; only `.value` can be read."""

    value: str

    def __str__(self) -> str:
        return f"FlowStatus.{self.value.upper()}"


@dataclass(frozen=True, slots=True)
class SystemRef:
    """`$system`: the configuration and the state, to read."""


@dataclass(frozen=True, slots=True)
class StateRef:
    """`$system.state`; its `context` is the table of globals."""


@dataclass(frozen=True, slots=True)
class Regex:
    """A regular expression; written to JSON as its text."""

    pattern: str
    _compiled: regex.Compiled = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "_compiled", regex.compile_pattern(self.pattern))

    def search(self, text: str) -> bool:
        """True if the pattern occurs in the text."""
        return self._compiled.search(text) is not None

    def find_all(self, text: str) -> list[Value]:
        """All matches that do not overlap; with groups, what the groups matched."""
        return list(self._compiled.findall(text))

    def __str__(self) -> str:
        return f"regex({self.pattern!r})"


COMPARISONS = {
    "less_than": lambda received, limit: received < limit,
    "equal_less_than": lambda received, limit: received <= limit,
    "greater_than": lambda received, limit: received > limit,
    "equal_greater_than": lambda received, limit: received >= limit,
    "not_equal_to": lambda received, limit: received != limit,
}


@dataclass(frozen=True, slots=True)
class Comparison:
    """`less_than(3)` and its like, as an expected argument of an event."""

    operator: str
    limit: int | float

    def accepts(self, received: Value) -> bool:
        """Compare; a value of another type is an error of the program, not a mismatch."""
        if not isinstance(received, type(self.limit)):
            raise ColangValueError(
                f"comparing variables of different types is not supported: {self.limit!r} and {received!r}"
            )
        return bool(COMPARISONS[self.operator](received, self.limit))


def type_name(value: Value) -> str:
    """What `type($x)` says."""
    return _TYPE_NAMES.get(type(value)) or type(value).__name__


_TYPE_NAMES: Mapping[type, str] = {
    FlowRef: "FlowState",
    ActionRef: "Action",
    EventRef: "Event",
    Status: "FlowStatus",
    Regex: "Pattern",
    Comparison: "ComparisonExpression",
    SystemRef: "AttributeDict",
    StateRef: "State",
}
