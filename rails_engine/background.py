"""The one private event loop behind the synchronous API.

A synchronous call hands its coroutine to this loop's thread and waits. Model clients that it opens stay open for the
next call, and an event loop of the caller is never touched: called inside a running one, the synchronous API refuses,
since it would block it. Who patched that loop with `nest_asyncio`, as notebooks do, or set `DISABLE_NEST_ASYNCIO=false`,
has said that it may be blocked.
"""

from __future__ import annotations

import asyncio
import os
import queue
import threading
from collections.abc import AsyncIterator, Coroutine, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import aclosing
from dataclasses import dataclass
from functools import cache
from typing import Any, Final, TypeVar

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class _End:
    """Nothing follows; `error` is what ended it."""

    error: Exception | None = None


class BackgroundLoop:
    """An event loop in a daemon thread, started by the first call and again after a fork."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._process = 0

    def run(self, work: Coroutine[Any, Any, T], instead: str) -> T:
        """Run `work` to its end and return its result; an interrupt cancels it.

        Raises:
            RuntimeError: called inside a running event loop; `instead` names the method to await there.
        """
        around = _running_loop()
        if not _may_be_blocked(around):
            work.close()
            raise RuntimeError(
                f"this call would block the running event loop: await `{instead}` there instead"
            )
        loop = self._started()
        if around is loop:  # an action that calls back: its own loop cannot do the work that it waits for
            with ThreadPoolExecutor(1) as thread:
                return thread.submit(asyncio.run, work).result()
        future = asyncio.run_coroutine_threadsafe(work, loop)
        try:
            return future.result()
        finally:
            future.cancel()  # after an interrupt the work must not go on; to one that is done it means nothing

    def iterate(self, items: AsyncIterator[T], instead: str) -> Iterator[T]:
        """What `items` gives, as it comes; closing the iterator, or an interrupt, cancels the work and waits for its end.

        Raises:
            RuntimeError: as `run`.
        """
        found: queue.SimpleQueue[T | _End] = queue.SimpleQueue()

        async def pump() -> None:
            end = _End()
            try:
                async with aclosing(items) as given:  # type: ignore[type-var]
                    async for item in given:
                        found.put(item)
            except Exception as error:  # noqa: BLE001 -- the rim: raised again where it is read
                end = _End(error)
            finally:
                found.put(end)

        around, loop = _running_loop(), self._started()
        if not _may_be_blocked(around) or around is loop:
            raise RuntimeError(
                f"this would block the running event loop: iterate over `{instead}` there instead"
            )
        future = asyncio.run_coroutine_threadsafe(pump(), loop)
        try:
            while not isinstance(item := found.get(), _End):
                yield item
            if item.error is not None:
                raise item.error
        finally:
            future.cancel()

    def _started(self) -> asyncio.AbstractEventLoop:
        with self._lock:
            if self._loop is None or self._process != os.getpid():
                self._loop = asyncio.new_event_loop()
                self._process = os.getpid()
                threading.Thread(target=self._loop.run_forever, name="rails-sync", daemon=True).start()
            return self._loop


def _running_loop() -> asyncio.AbstractEventLoop | None:
    try:
        return asyncio.get_running_loop()
    except RuntimeError:
        return None


def _may_be_blocked(loop: asyncio.AbstractEventLoop | None) -> bool:
    """Whether a call may wait: where no loop runs, or one that its owner made fit for that."""
    if loop is None or hasattr(loop, "_nest_patched"):
        return True
    disabled = os.environ.get("DISABLE_NEST_ASYNCIO")
    return disabled is not None and disabled.strip().lower() not in _TRUE


_TRUE: Final = frozenset({"true", "1", "yes"})


@cache
def background_loop() -> BackgroundLoop:
    """The loop of this process."""
    return BackgroundLoop()
