"""Model calls made ahead: the answer is generated while input rails still judge the question.

A copy of the turn runs as if the rails had let the message pass unchanged. What it asks of models is asked for real and
kept here under its request, and the copy does nothing else. The turn itself looks here before it asks: where it asks
the same, the call is already under way. The first time that it asks anything, the rails have spoken, so the copy may
begin nothing more. Calls that nobody came for are cancelled, and told to the record of the turn all the same: they
have been paid for.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from typing import Any, TypeAlias

from rails_engine.llm import LLM, Chunk, LLMCall, LLMRequest, Observed, Reading

Sink: TypeAlias = Callable[[LLMCall], None]
log = logging.getLogger(__name__)


class SpeculationEndedError(Exception):
    """The copy may not go on: what comes next is not its business, or the turn itself is there already."""


@contextmanager
def copy_of_a_turn() -> Iterator[None]:
    """A copy runs in here; whatever ends it early is no matter, and goes to the log alone."""
    try:
        yield
    except SpeculationEndedError:
        pass
    except Exception as error:  # noqa: BLE001 -- the turn itself will meet it again, and say so
        log.debug("the copy of the turn ended: %r", error)


@dataclass(eq=False)
class _Call:
    """One call under way, its chunks so far, and its record once it has ended."""

    model: LLM
    request: LLMRequest
    task: str
    chunks: list[Chunk] = field(default_factory=list)
    records: list[LLMCall] = field(default_factory=list)
    grown: asyncio.Event = field(default_factory=asyncio.Event)
    taken: bool = False
    pump: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Begin to read the model's answer, whether or not anybody takes it."""
        self.pump = asyncio.ensure_future(self._pump())

    async def _pump(self) -> None:
        try:
            async with Reading(
                Observed(self.model, self.records.append, self.task).stream(self.request)
            ) as chunks:
                async for chunk in chunks:
                    self.chunks.append(chunk)
                    self.grown.set()
        finally:
            self.grown.set()

    async def read(self) -> AsyncIterator[Chunk]:
        """All chunks, as they come. Several may read.

        Raises:
            whatever the model raised.
        """
        place = 0
        while True:
            while place < len(self.chunks):
                place += 1
                yield self.chunks[place - 1]
            if self.pump is None or self.pump.done():
                break
            self.grown.clear()
            await self.grown.wait()
        if self.pump is not None:
            await self.pump

    async def stop(self, sink: Sink) -> None:
        """End it if it has not ended, and tell of it."""
        if self.pump is not None:
            self.pump.cancel()
            await asyncio.wait({self.pump})
            if not self.pump.cancelled():
                self.pump.exception()  # nobody else may want to know
        for record in self.records:
            sink(record)
        self.records.clear()


class SpeculativeCalls:
    """The calls of one turn that were begun before they were known to be wanted."""

    def __init__(self) -> None:
        self._calls: list[_Call] = []
        self._over = False

    def begin(self, model: LLM, request: LLMRequest, task: str) -> AsyncIterator[Chunk]:
        """Ask for the copy.

        Raises:
            SpeculationEndedError: the turn itself asks by now.
        """
        if self._over:
            raise SpeculationEndedError
        call = _Call(model, request, task)
        self._calls.append(call)
        call.start()
        return call.read()

    def take(self, model: LLM, request: LLMRequest, task: str, sink: Sink) -> AsyncIterator[Chunk] | None:
        """The call that the turn wants to make, where it is under way; `sink` is told of it when it has ended."""
        self._over = True
        for call in self._calls:
            same = call.model is model and call.task == task and call.request == request
            if same and not call.taken:
                call.taken = True
                return _taken(call, sink)
        return None

    async def close(self, sink: Sink) -> None:
        """End the calls that nobody took, and tell `sink` of them."""
        self._over = True
        for call in self._calls:
            if not call.taken:
                await call.stop(sink)


@asynccontextmanager
async def beside_a_copy(
    copy: Coroutine[Any, Any, object], calls: SpeculativeCalls, sink: Sink
) -> AsyncIterator[None]:
    """The turn in here runs beside its copy; with the turn the copy ends, and so do the calls that it began for nothing."""
    running = asyncio.ensure_future(copy)
    try:
        yield
    finally:
        running.cancel()
        await asyncio.wait({running})
        await calls.close(sink)


async def _taken(call: _Call, sink: Sink) -> AsyncIterator[Chunk]:
    try:
        async for chunk in call.read():
            yield chunk
    finally:
        await call.stop(sink)
