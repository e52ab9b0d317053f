"""Deep copies of the values of a program, before one of them is changed in place.

Forks of a state share the lists, dicts and sets in its variables. `$list.append(1)` changes one in place, which only
the state at hand may see. So before the first such change every container in reach is copied, once, in one pass that
keeps shared parts shared: two variables with the same list still have the same list afterwards. The configuration that a
program shows belongs to all conversations: what is taken from it later on is copied when it is about to change.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from colang.values import EventRef


class Copier:
    """Deep copies of containers; `copies` maps the identity of an original to its copy."""

    def __init__(self) -> None:
        self.copies: dict[int, Any] = {}
        self._originals: list[Any] = []

    def copy(self, value: Any) -> Any:
        """The copy of `value`; atoms and references are their own copies.

        Iterative, since values may be nested deeper than Python's stack.
        """
        pending: list[tuple[Any, Any]] = []
        result = self._shell(value, pending)
        while pending:
            original, twin = pending.pop()
            if isinstance(original, dict):
                for key, item in original.items():
                    twin[key] = self._shell(item, pending)
            else:
                twin.extend(self._shell(item, pending) for item in original)
        return result

    def mapping(self, values: Mapping[str, Any]) -> dict[str, Any]:
        """A new dict with copies of the values; the keys are names."""
        return {name: self.copy(value) for name, value in values.items()}

    def _shell(self, value: Any, pending: list[tuple[Any, Any]]) -> Any:
        """An empty copy, to be filled from `pending`."""
        kind = type(value)
        if kind is EventRef:
            arguments = self.mapping(value.arguments)
            return EventRef(value.name, arguments, value.flow_uid, value.action_uid)
        if kind is tuple:
            return tuple(self.copy(item) for item in value)
        if kind is not dict and kind is not list and kind is not set:
            return value
        known = self.copies.get(id(value))
        if known is not None:
            return known
        twin: Any = set(value) if kind is set else kind()
        self.copies[id(value)] = twin
        self._originals.append(value)
        if kind is not set:
            pending.append((value, twin))
        return twin


def containers_in(value: Any) -> frozenset[int]:
    """The identities of all lists, dicts and sets of `value`, itself among them."""
    copier = Copier()
    copier.copy(value)
    return frozenset(copier.copies)
