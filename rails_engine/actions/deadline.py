"""A time limit for what has to wait."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Coroutine, Generator
from functools import partial
from types import coroutine
from typing import Any, Final, TypeVar

T = TypeVar("T")

GRACE_S: Final = 1.0
"""How long what was cancelled may take to clean up."""


class DeadlinePassedError(Exception):
    """Something took longer than it may."""


async def rest_within(limit_s: float, work: Coroutine[Any, Any, T], awaited: Any) -> T:
    """What `work` returns, which has begun and waits for `awaited`, what its `send` gave.

    Raises:
        DeadlinePassedError: it went on for longer than `limit_s` seconds from here, and was cancelled. What it gives
            after that is not taken, and where it goes on regardless it is left behind `GRACE_S` seconds later.
        Exception: whatever `work` raises.
    """
    try:
        async with asyncio.timeout(limit_s + GRACE_S) as last, asyncio.timeout(limit_s) as limit:
            result = await _resumed(work, awaited, last)
    except TimeoutError as error:
        if not limit.expired():
            raise
        raise DeadlinePassedError from error
    if limit.expired():
        raise DeadlinePassedError
    return result


@coroutine
def _resumed(work: Coroutine[Any, Any, T], awaited: Any, last: asyncio.Timeout) -> Generator[Any, Any, T]:
    """Go on with a coroutine that waits for `awaited`: hand on what it awaits, and what comes of that."""
    resume: Callable[[], Any]
    while True:
        try:
            given = yield awaited
        except BaseException as error:  # whatever is thrown in, cancelling too, is the coroutine's to handle
            if last.expired():
                _leave(work)
                raise
            resume = partial(work.throw, error)
        else:
            resume = partial(work.send, given)
        try:
            awaited = resume()
        except StopIteration as end:
            result: T = end.value
            return result


def _leave(work: Coroutine[Any, Any, Any]) -> None:
    """End a coroutine wherever it waits; one that even then goes on is dropped as it stands."""
    with contextlib.suppress(RuntimeError):
        work.close()
