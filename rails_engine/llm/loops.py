"""Things that belong to one event loop, such as connections and locks, made when a loop first asks for them."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from typing import Generic, TypeVar
from weakref import WeakKeyDictionary

T = TypeVar("T")


class PerLoop(Generic[T]):
    """One `T` for each running loop. A loop that is gone takes its `T` with it."""

    def __init__(self, make: Callable[[], T]) -> None:
        self._make = make
        self._made: WeakKeyDictionary[asyncio.AbstractEventLoop, T] = WeakKeyDictionary()
        self._lock = threading.Lock()

    def get(self) -> T:
        loop = asyncio.get_running_loop()
        found = self._made.get(loop)
        if found is None:
            with self._lock:
                found = self._made.setdefault(loop, self._make())
        return found

    def drain(self) -> list[tuple[asyncio.AbstractEventLoop, T]]:
        """Every pair of loop and thing, which are forgotten here."""
        with self._lock:
            pairs = list(self._made.items())
            self._made.clear()
        return pairs
