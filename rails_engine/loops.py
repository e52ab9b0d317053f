"""Things that belong to one event loop, such as connections and locks, made when a loop first asks for them."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from typing import Generic, TypeVar
from weakref import WeakKeyDictionary, finalize

T = TypeVar("T")


class PerLoop(Generic[T]):
    """One `T` for each running loop.

    `discard` ends a `T` whose loop can no longer do it: the loop is closed, or this object or the process is ending.
    """

    def __init__(self, make: Callable[[], T], discard: Callable[[T], None] | None = None) -> None:
        self._make = make
        self._discard = discard
        self._made: WeakKeyDictionary[asyncio.AbstractEventLoop, T] = WeakKeyDictionary()
        self._lock = threading.Lock()
        if discard is not None:
            finalize(self, _discard_all, self._made, discard)

    def get(self) -> T:
        """The `T` of the running loop, made now if this loop has none yet.

        Raises:
            RuntimeError: no event loop runs in this thread.
        """
        loop = asyncio.get_running_loop()
        found = self._made.get(loop)
        if found is None:
            with self._lock:
                self._forget_closed_loops()
                found = self._made.setdefault(loop, self._make())
        return found

    def _forget_closed_loops(self) -> None:
        """What was made for a loop may keep it alive, so that waiting for the loop to vanish would leak both."""
        for loop in [loop for loop in self._made if loop.is_closed()]:
            thing = self._made.pop(loop)
            if self._discard is not None:
                self._discard(thing)

    def take(self) -> T | None:
        """The `T` of the running loop, which is forgotten here; None where it has none.

        Raises:
            RuntimeError: no event loop runs in this thread.
        """
        with self._lock:
            return self._made.pop(asyncio.get_running_loop(), None)

    def drain(self) -> list[tuple[asyncio.AbstractEventLoop, T]]:
        """Every pair of loop and thing, which are forgotten here."""
        with self._lock:
            pairs = list(self._made.items())
            self._made.clear()
        return pairs


def _discard_all(made: WeakKeyDictionary[asyncio.AbstractEventLoop, T], discard: Callable[[T], None]) -> None:
    for thing in list(made.values()):
        discard(thing)
