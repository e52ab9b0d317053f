"""A mapping that many forks share: copying it costs the same however much is in it.

It is split into small dicts by the hash of the key. A fork copies the list of them, and a dict only before its first
change. Iteration is in no particular order.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterator
from typing import Generic, TypeVar

K = TypeVar("K", bound=Hashable)
V = TypeVar("V")
_SHARDS = 16


class Table(Generic[K, V]):
    """See the module's docstring; `own` gives the dict of a key, free to be changed."""

    __slots__ = ("_owned", "_shards")

    def __init__(self) -> None:
        self._shards: list[dict[K, V]] = [{} for _ in range(_SHARDS)]
        self._owned = (1 << _SHARDS) - 1

    def fork(self) -> Table[K, V]:
        """A table with the same entries, independent of this one: both copy a dict before they change it."""
        twin: Table[K, V] = Table.__new__(Table)
        twin._shards = self._shards.copy()
        twin._owned = self._owned = 0
        return twin

    def shard(self, key: K) -> dict[K, V]:
        """The dict that has `key`, to read."""
        return self._shards[hash(key) & (_SHARDS - 1)]

    def own(self, key: K) -> dict[K, V]:
        """The dict that has `key`, free to be changed."""
        number = hash(key) & (_SHARDS - 1)
        bit = 1 << number
        if not self._owned & bit:
            self._shards[number] = self._shards[number].copy()
            self._owned |= bit
        return self._shards[number]

    def __getitem__(self, key: K) -> V:
        return self._shards[hash(key) & (_SHARDS - 1)][key]

    def __setitem__(self, key: K, value: V) -> None:
        self.own(key)[key] = value

    def __delitem__(self, key: K) -> None:
        del self.own(key)[key]

    def __contains__(self, key: object) -> bool:
        return key in self._shards[hash(key) & (_SHARDS - 1)]

    def __len__(self) -> int:
        return sum(map(len, self._shards))

    def get(self, key: K) -> V | None:
        """The value of a key; None where it is missing."""
        return self._shards[hash(key) & (_SHARDS - 1)].get(key)

    def items(self) -> Iterator[tuple[K, V]]:
        """Every key with its value. Changing the table meanwhile is not allowed."""
        for shard in self._shards:
            yield from shard.items()

    def values(self) -> Iterator[V]:
        """Every value. Changing the table meanwhile is not allowed."""
        for shard in self._shards:
            yield from shard.values()
