"""Concurrent queries embedded together.

The first query goes at once; those that arrive while it runs wait and go together next, so a lone query is never held
back and a burst costs few calls. An optional hold collects longer, for endpoints that bill by the request. A failed
call fails every query that was in it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from rails_engine.loops import PerLoop
from rails_engine.retrieval.base import Embedder, EmbeddingKind
from rails_engine.retrieval.errors import EmbeddingError


@dataclass(slots=True)
class _Waiting:
    texts: Sequence[str]
    kind: EmbeddingKind
    answer: asyncio.Future[NDArray[np.float32]]


@dataclass(slots=True)
class _Queue:
    waiting: list[_Waiting] = field(default_factory=list)
    worker: asyncio.Task[None] | None = None


class BatchingEmbedder:
    """An `Embedder` that joins small concurrent calls; larger ones pass straight through."""

    def __init__(self, embedder: Embedder, max_batch: int = 32, hold_s: float = 0.0) -> None:
        self._embedder = embedder
        self._max_batch = max_batch
        self._hold_s = hold_s
        self._queues = PerLoop(_Queue)

    @property
    def model_name(self) -> str:
        """See `Embedder.model_name`."""
        return self._embedder.model_name

    async def dimension(self) -> int:
        """See `Embedder.dimension`."""
        return await self._embedder.dimension()

    async def embed(self, texts: Sequence[str], kind: EmbeddingKind) -> NDArray[np.float32]:
        """As the embedder inside; a caller that is cancelled leaves the others undisturbed."""
        if not texts or len(texts) >= self._max_batch:
            return await self._embedder.embed(texts, kind)
        loop, queue = asyncio.get_running_loop(), self._queues.get()
        waiting = _Waiting(texts, kind, loop.create_future())
        queue.waiting.append(waiting)
        if queue.worker is None:
            queue.worker = loop.create_task(self._work(queue))
        return await waiting.answer

    async def _work(self, queue: _Queue) -> None:
        try:
            while queue.waiting:
                await asyncio.sleep(self._hold_s)
                await self._answer(_taken(queue, self._max_batch))
        finally:
            queue.worker = None
            for waiting in queue.waiting:
                waiting.answer.cancel()

    async def _answer(self, batch: list[_Waiting]) -> None:
        texts = [text for waiting in batch for text in waiting.texts]
        try:
            vectors = await self._embedder.embed(texts, batch[0].kind)
        except Exception as error:  # noqa: BLE001 -- whatever failed is each waiter's to handle
            for waiting in batch:
                if not waiting.answer.done():
                    waiting.answer.set_exception(_own(error))
            return
        start = 0
        for waiting in batch:
            if not waiting.answer.done():
                waiting.answer.set_result(vectors[start : start + len(waiting.texts)])
            start += len(waiting.texts)


def _taken(queue: _Queue, limit: int) -> list[_Waiting]:
    """The oldest waiting calls of one kind, at most `limit` texts, taken out of the queue."""
    kind = queue.waiting[0].kind
    batch: list[_Waiting] = []
    left: list[_Waiting] = []
    size = 0
    for waiting in queue.waiting:
        if waiting.kind is kind and (not batch or size + len(waiting.texts) <= limit):
            batch.append(waiting)
            size += len(waiting.texts)
        else:
            left.append(waiting)
    queue.waiting = left
    return batch


def _own(error: Exception) -> Exception:
    """An exception of its own for each waiter: one object raised in several tasks mixes their tracebacks."""
    if isinstance(error, EmbeddingError):
        copy = type(error).__new__(type(error), *error.args)
        copy.args = error.args
        copy.__dict__.update(error.__dict__)
        copy.__cause__ = error
        return copy
    return error
