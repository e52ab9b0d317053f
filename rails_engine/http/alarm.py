"""A time limit that is moved with every request and seldom reached."""

from __future__ import annotations

import asyncio
from collections.abc import Callable


class Alarm:
    """Calls back once a moment has passed. Putting it off costs a comparison: the timer of the loop stays and looks again."""

    __slots__ = ("_loop", "_ring", "_timer", "_until")

    def __init__(self, loop: asyncio.AbstractEventLoop, ring: Callable[[], None]) -> None:
        self._loop = loop
        self._ring = ring
        self._until: float | None = None
        self._timer: asyncio.TimerHandle | None = None

    def set(self, until: float | None) -> None:
        """Ring at `until`, in the loop's time; None: not at all."""
        self._until = until
        if until is None or (self._timer is not None and self._timer.when() <= until):
            return
        self.stop()
        self._timer = self._loop.call_at(until, self._look)

    def _look(self) -> None:
        self._timer = None
        until = self._until
        if until is None:
            return
        if until > self._loop.time():
            self.set(until)
        else:
            self._until = None
            self._ring()

    def stop(self) -> None:
        """Let go of the timer."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
