"""A time limit for what has to wait."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Coroutine, Generator
from functools import partial
from time import perf_counter
from types import coroutine
from typing import Any, Final, TypeVar

T = TypeVar("T")

GRACE_S: Final = 1.0
"""How long what was cancelled may take to clean up."""

PARTS: Final = 8
"""A limit is counted in so many parts; one that ends late, since the loop was busy with others, counts as one."""

PATIENCE: Final = 6
"""How many times a limit may pass by the clock on the wall, however busy the loop is."""


class DeadlinePassedError(Exception):
    """Something took longer than it may."""


async def rest_within(limit_s: float, work: Coroutine[Any, Any, T], awaited: Any) -> T:
    """What `work` returns, which has begun and waits for `awaited`, what its `send` gave.

    The limit is of the time in which the loop was there for it: of hundreds of conversations at once each waits for the
    others' turns at the processor, which says nothing about a rail.

    Raises:
        DeadlinePassedError: it went on for longer than `limit_s` seconds from here, and was cancelled. What it gives
            after that is not taken, and where it goes on regardless it is left behind `GRACE_S` seconds later.
        Exception: whatever `work` raises.
    """
    try:
        async with asyncio.timeout(None) as last, asyncio.timeout(None) as limit:
            clock = _Clock(limit_s, limit, last)
            try:
                result = await _resumed(work, awaited, clock)
            finally:
                clock.stop()
    except TimeoutError as error:
        if not limit.expired():
            raise
        raise DeadlinePassedError from error
    if limit.expired() or clock.own_s > limit_s:
        raise DeadlinePassedError
    return result


class _Clock:
    """Counts down a limit, and ends what is under way when it has passed; `own_s` is what that has kept the loop busy for."""

    __slots__ = ("_due", "_end", "_last", "_left_s", "_limit", "_loop", "_part_s", "_timer", "own_s")

    def __init__(self, limit_s: float, limit: asyncio.Timeout, last: asyncio.Timeout) -> None:
        self._loop = asyncio.get_running_loop()
        self._limit, self._last = limit, last
        self._left_s, self._part_s = limit_s, limit_s / PARTS
        self._due = self._loop.time()
        self._end = self._due + PATIENCE * limit_s
        self.own_s = 0.0
        self._timer = self._next()

    def _next(self) -> asyncio.TimerHandle:
        self._due = min(self._due + self._part_s, self._end)
        return self._loop.call_at(self._due, self._count)

    def _count(self) -> None:
        now = self._loop.time()
        self._left_s -= self._part_s
        if self._left_s > self._part_s / 2 and now < self._end:
            self._due = now
            self._timer = self._next()
            return
        self._limit.reschedule(now)
        self._last.reschedule(now + GRACE_S)

    @property
    def is_over(self) -> bool:
        """Whether what was cancelled has had its time to clean up."""
        return self._last.expired()

    def stop(self) -> None:
        """Count no further."""
        self._timer.cancel()


@coroutine
def _resumed(work: Coroutine[Any, Any, T], awaited: Any, clock: _Clock) -> Generator[Any, Any, T]:
    """Go on with a coroutine that waits for `awaited`: hand on what it awaits, and what comes of that."""
    resume: Callable[[], Any]
    while True:
        try:
            given = yield awaited
        except BaseException as error:  # whatever is thrown in, cancelling too, is the coroutine's to handle
            if clock.is_over:
                _leave(work)
                raise
            resume = partial(work.throw, error)
        else:
            resume = partial(work.send, given)
        began = perf_counter()
        try:
            awaited = resume()
        except StopIteration as end:
            result: T = end.value
            return result
        finally:
            clock.own_s += perf_counter() - began


def _leave(work: Coroutine[Any, Any, Any]) -> None:
    """End a coroutine wherever it waits; one that even then goes on is dropped as it stands."""
    with contextlib.suppress(RuntimeError):
        work.close()
