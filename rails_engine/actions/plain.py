"""Results of actions as plain data, so that flows cannot reach into Python objects.

Dataclasses and pydantic models become mappings, enumerations their values, numpy scalars and dates numbers and ISO
texts. Anything else is wrapped in an opaque handle that flows can hold and pass on, and that only actions look into.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Iterator, Mapping
from dataclasses import dataclass, fields, is_dataclass
from datetime import date, datetime, time
from enum import Enum
from typing import Any

from rails_engine.actions.outcome import RailDecision, RailOutcome, TransformSpec, TransformTarget

MAX_DEPTH = 64
_ATOMS = frozenset({str, bool, int, float, type(None)})


@dataclass(frozen=True, slots=True)
class Opaque:
    """A Python object on its way through a flow.

    It is true where the object is; what is yet to be computed, and an error that was returned, are neither true nor
    false.
    """

    value: Any

    def __str__(self) -> str:
        return str(self.value)

    def __bool__(self) -> bool:
        """Whether the object is true.

        Raises:
            TypeError: it has no truth; whatever else the object raises when asked.
        """
        if self.is_moot:
            raise TypeError(
                f"an action returned {type(self.value).__name__}, which is neither true nor false"
            )
        return bool(self.value)

    @property
    def is_moot(self) -> bool:
        """Whether it says nothing by itself: it is yet to be computed, or an error."""
        return isinstance(self.value, Iterator | AsyncIterator | Awaitable | BaseException)


def to_plain(value: Any, depth: int = 0) -> Any:
    """`value` as plain data. Nesting deeper than `MAX_DEPTH`, such as a circle, stays opaque."""
    kind = type(value)
    if kind in _ATOMS:
        return value
    if depth < MAX_DEPTH and kind is list:
        return (
            [item if type(item) in _ATOMS else to_plain(item, depth + 1) for item in value] if value else []
        )
    if isinstance(value, str | bool | int | float | Opaque) and not isinstance(value, Enum):
        return value
    if depth >= MAX_DEPTH:
        return Opaque(value)
    return _converted(value, depth + 1)


def plain_outcome(outcome: RailOutcome, depth: int = 0) -> dict[str, Any]:
    """A verdict as flows read it: plain data, with every field and property by name."""
    decision, specs = outcome.decision, outcome.transforms
    return {
        "decision": decision._value_,
        "reason": outcome.reason,
        "metadata": _mapping(outcome.metadata, depth + 1),
        "transforms": [{"target": spec.target.value, "text": spec.text} for spec in specs] if specs else [],
        "failed": outcome.failed,
        "is_blocked": decision is RailDecision.BLOCK,
        "is_transform": decision is RailDecision.TRANSFORM,
        "transform_text": specs[0].text if specs else None,
    }


def _converted(value: Any, depth: int) -> Any:
    if isinstance(value, RailOutcome):
        return plain_outcome(value, depth)
    if isinstance(value, Enum):
        return to_plain(value.value, depth)
    if isinstance(value, dict | Mapping):
        return _mapping(value, depth)
    if isinstance(value, list):
        return [to_plain(item, depth) for item in value]
    if isinstance(value, tuple):
        return tuple(to_plain(item, depth) for item in value)
    if isinstance(value, set | frozenset):
        return {item for item in value if isinstance(item, str | int | float | bool | None)}
    return _object(value, depth)


def _mapping(value: Mapping[Any, Any], depth: int) -> dict[Any, Any]:
    plain = dict(value)
    for key, item in plain.items():
        if type(item) not in _ATOMS:
            plain[key] = to_plain(item, depth)
    return plain


def _object(value: Any, depth: int) -> Any:
    if isinstance(value, datetime | date | time):
        return value.isoformat()
    if is_dataclass(value) and not isinstance(value, type):
        return {field.name: to_plain(getattr(value, field.name), depth) for field in fields(value)}
    dump = getattr(value, "model_dump", None)
    if callable(dump) and hasattr(type(value), "model_fields"):
        return to_plain(dump(), depth)
    item = getattr(value, "item", None)
    if callable(item) and getattr(value, "shape", None) == ():
        return to_plain(item(), depth)
    return Opaque(value)


def unwrapped(value: Any) -> Any:
    """`value` as an action gets it: handles give up what they hold."""
    if type(value) in _ATOMS:
        return value
    if isinstance(value, Opaque):
        return value.value
    if isinstance(value, dict):
        return {key: unwrapped(item) for key, item in value.items()}
    if isinstance(value, list):
        return [unwrapped(item) for item in value]
    return tuple(unwrapped(item) for item in value) if isinstance(value, tuple) else value


_FIELDS = frozenset(plain_outcome(RailOutcome.allow()))


def public_value(value: Any) -> Any:
    """A value of a flow as callers get it: a verdict as the object that the rail's action answered with."""
    if type(value) is not dict or value.keys() != _FIELDS:
        return value
    try:
        specs = [TransformSpec(TransformTarget(spec["target"]), spec["text"]) for spec in value["transforms"]]
        decision = RailDecision(value["decision"])
    except (TypeError, KeyError, ValueError):
        return value
    return RailOutcome(decision, value["reason"], value["metadata"], tuple(specs), bool(value["failed"]))
