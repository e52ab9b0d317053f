"""At most so many calls of a model at once; the others wait their turn."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

from rails_engine.llm.answer import Completion, complete
from rails_engine.llm.base import LLM, Chunk, LLMRequest
from rails_engine.llm.layer import Layer
from rails_engine.llm.streams import Reading
from rails_engine.loops import PerLoop


class Limited(Layer):
    """Wraps an `LLM`; a stream counts until it is closed. The limit is for each event loop."""

    def __init__(self, inner: LLM, at_once: int) -> None:
        super().__init__(inner)
        self._slots = PerLoop(lambda: asyncio.Semaphore(at_once))

    async def stream(self, request: LLMRequest) -> AsyncIterator[Chunk]:
        """See `LLM.stream`."""
        async with self._slots.get(), Reading(self._inner.stream(request)) as chunks:
            async for chunk in chunks:
                yield chunk

    async def complete(self, request: LLMRequest) -> Completion:
        """See `Completing.complete`."""
        async with self._slots.get():
            return await complete(self._inner, request)
