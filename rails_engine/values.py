"""Values that are made many times a turn: frozen for the type checker, and cheap to make.

A frozen dataclass writes each field through `object.__setattr__`, which costs half a microsecond a field: of a turn,
a sixth. mypy refuses assignments to these as it does to frozen ones; at run time nothing stands in the way of one.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TypeVar, dataclass_transform

T = TypeVar("T")


@dataclass_transform(frozen_default=True, field_specifiers=(field,))
def value_class(cls: type[T]) -> type[T]:
    """A dataclass with slots, equal and hashed by its fields, that nobody changes."""
    return dataclass(slots=True, unsafe_hash=True)(cls)
