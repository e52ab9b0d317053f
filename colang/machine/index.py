"""Who waits for what: waiting heads by the name of their event, and within a name by one expected argument.

The argument is a text that the event must carry: the transcript in `match UtteranceUserAction.Finished(
final_transcript="hi")`, the instance in `match $flow.Finished()`. So an event meets only the heads that may match it,
however many wait for its name. A fork shares buckets with its original and copies a bucket before changing it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, TypeAlias

from colang.machine.table import Table

HeadKey: TypeAlias = tuple[str, int]
"""Flow instance uid, number of the head in it."""
Key: TypeAlias = tuple[str, str]
"""Argument name, expected text."""
Entry: TypeAlias = tuple[str, Key | None]
"""Where a head is filed: event name, and the argument if there is one."""


class Bucket:
    """The heads that wait for one event name."""

    __slots__ = ("arguments", "keyed", "owner", "plain")

    def __init__(self, owner: object) -> None:
        self.owner = owner
        self.plain: dict[HeadKey, None] = {}
        self.keyed: Table[Key, tuple[HeadKey, ...]] | None = None
        """None as long as nobody waits for an argument: most events are waited for as they are."""
        self.arguments: dict[str, int] = {}

    def copy(self, owner: object) -> Bucket:
        """The same heads for the state whose token is `owner`; the tables by argument stay shared until they change."""
        twin = Bucket(owner)
        twin.plain = self.plain.copy()
        twin.keyed = self.keyed.fork() if self.keyed is not None else None
        twin.arguments = self.arguments.copy()
        return twin

    def add(self, key: Key | None, head: HeadKey) -> None:
        """File a head under a key; None where it waits for the event whatever its arguments are."""
        if key is None:
            self.plain[head] = None
            return
        if self.keyed is None:
            self.keyed = Table()
        shard = self.keyed.own(key)
        shard[key] = (*shard.get(key, ()), head)
        self.arguments[key[0]] = self.arguments.get(key[0], 0) + 1

    def remove(self, key: Key | None, head: HeadKey) -> None:
        """Take a head off a key under which it was filed.

        Raises:
            KeyError: it was not: the books are wrong.
        """
        if key is None:
            del self.plain[head]
            return
        if self.keyed is None:
            raise KeyError(key)
        shard = self.keyed.own(key)
        left = tuple(other for other in shard[key] if other != head)
        if left:
            shard[key] = left
        else:
            del shard[key]
        self.arguments[key[0]] -= 1
        if not self.arguments[key[0]]:
            del self.arguments[key[0]]

    def candidates(self, arguments: Mapping[str, Any]) -> list[HeadKey]:
        """The heads that may match an event with these arguments, in no particular order."""
        found = list(self.plain)
        if self.keyed is None:
            return found
        for name in self.arguments:
            value = arguments.get(name)
            if type(value) is str:
                key = (name, value)
                found += self.keyed.shard(key).get(key, ())
        return found


class Index:
    """All buckets of a state."""

    __slots__ = ("buckets", "owner")

    def __init__(self, owner: object, buckets: dict[str, Bucket] | None = None) -> None:
        self.owner = owner
        self.buckets = buckets if buckets is not None else {}

    def fork(self, owner: object) -> Index:
        """The index for the state whose token is `owner`. Costs one entry for each event name that is waited for."""
        return Index(owner, self.buckets.copy())

    def add(self, entry: Entry, head: HeadKey) -> None:
        """File a head, under an event name and perhaps an argument."""
        name, key = entry
        bucket = self.buckets.get(name)
        if bucket is None:
            bucket = self.buckets[name] = Bucket(self.owner)
        elif bucket.owner is not self.owner:
            bucket = self.buckets[name] = bucket.copy(self.owner)
        bucket.add(key, head)

    def remove(self, entry: Entry, head: HeadKey) -> None:
        """Take a head off; a name for which nobody waits any more goes with it.

        Raises:
            KeyError: the head was not filed there: the books are wrong.
        """
        name, key = entry
        bucket = self.buckets[name]
        if bucket.owner is not self.owner:
            bucket = self.buckets[name] = bucket.copy(self.owner)
        bucket.remove(key, head)
        if not bucket.plain and not bucket.arguments:
            del self.buckets[name]

    def candidates(self, name: str, arguments: Mapping[str, Any]) -> list[HeadKey]:
        """The heads that may match an event, in no particular order."""
        bucket = self.buckets.get(name)
        return bucket.candidates(arguments) if bucket else []

    def entries(self) -> Iterable[tuple[Entry, HeadKey]]:
        """Everything that is filed, for checks."""
        for name, bucket in self.buckets.items():
            for head in bucket.plain:
                yield (name, None), head
            for key, heads in bucket.keyed.items() if bucket.keyed is not None else ():
                for head in heads:
                    yield (name, key), head
