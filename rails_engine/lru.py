"""A table in bounds, which remembers what was kept or looked for last."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Hashable
from typing import Generic, TypeVar

K = TypeVar("K", bound=Hashable)
T = TypeVar("T")


class LruTable(Generic[K, T]):
    """What was kept or looked for last, by name; at most `kept` of them."""

    def __init__(self, kept: int) -> None:
        self._kept = kept
        self._table: OrderedDict[K, T] = OrderedDict()

    def has(self, name: K) -> bool:
        """True if it is remembered."""
        if name not in self._table:
            return False
        self._table.move_to_end(name)
        return True

    def get(self, name: K, otherwise: T) -> T:
        """What was kept under the name, or `otherwise`."""
        return self._table[name] if self.has(name) else otherwise

    def keep(self, name: K, value: T) -> None:
        """Remember it; what nobody has looked for longest goes."""
        self._table[name] = value
        self._table.move_to_end(name)
        if len(self._table) > self._kept:
            self._table.popitem(last=False)
