"""A time limit that costs nothing where there is nothing to wait for."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Generator
from functools import partial
from types import coroutine
from typing import Any, TypeVar

T = TypeVar("T")


class DeadlinePassedError(Exception):
    """Something took longer than it may."""


async def within(limit_s: float, work: Coroutine[Any, Any, T]) -> T:
    """What `work` returns; the clock starts where it first waits, and most rails never do.

    Raises:
        DeadlinePassedError: it went on for longer than `limit_s` seconds after that, and was cancelled.
        Exception: whatever `work` raises.
    """
    try:
        awaited = work.send(None)
    except StopIteration as end:
        result: T = end.value
        return result
    try:
        async with asyncio.timeout(limit_s) as limit:
            return await _resumed(work, awaited)
    except TimeoutError as error:
        if not limit.expired():
            raise
        raise DeadlinePassedError from error


@coroutine
def _resumed(work: Coroutine[Any, Any, T], awaited: Any) -> Generator[Any, Any, T]:
    """Go on with a coroutine that waits for `awaited`: hand on what it awaits, and what comes of that."""
    resume: Callable[[], Any]
    while True:
        try:
            given = yield awaited
        except BaseException as error:  # noqa: BLE001 -- whatever is thrown in, cancelling too, is the coroutine's to handle
            resume = partial(work.throw, error)
        else:
            resume = partial(work.send, given)
        try:
            awaited = resume()
        except StopIteration as end:
            result: T = end.value
            return result
