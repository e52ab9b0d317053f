"""Answers kept by request, for models whose answer to a question does not change, such as guard models.

Entries go when they are old, when there are too many, or when they take too much memory; the one unused longest goes
first. Failures are never kept. Equal requests that arrive together are asked once. Streamed requests are answered
from the cache, and fill it, but do not wait for each other.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import logging
import threading
import time
from collections import OrderedDict
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace

from rails_engine.llm.answer import Completion, Gathering, complete
from rails_engine.llm.base import LLM, Chunk, LLMRequest, ToolCallFragment
from rails_engine.llm.layer import Layer
from rails_engine.llm.streams import Reading
from rails_engine.loops import PerLoop

_log = logging.getLogger(__name__)
MAX_BYTES = 64 << 20
_ENTRY_OVERHEAD = 512


@dataclass(frozen=True, slots=True)
class CacheOptions:
    """`ttl_s` None keeps entries for as long as they fit; `log_interval_s` None logs nothing; `name` says whose it is."""

    max_entries: int = 50_000
    max_bytes: int = MAX_BYTES
    ttl_s: float | None = None
    log_interval_s: float | None = None
    name: str = "a model"


@dataclass(frozen=True, slots=True)
class CacheStats:
    """Counts since the store was made; `entries` is how many there are now."""

    hits: int = 0
    misses: int = 0
    evictions: int = 0
    entries: int = 0

    def told(self, at_most: int) -> str:
        """For people to read."""
        asked = self.hits + self.misses
        share = 100 * self.hits / asked if asked else 0.0
        return (
            f"{self.entries} of {at_most} entries, {self.hits} hits, {self.misses} misses ({share:.0f} % hit), "
            f"{self.evictions} evicted"
        )


@dataclass(frozen=True, slots=True)
class _Entry:
    completion: Completion
    size: int
    stored_at: float


class AnswerStore:
    """Completions by key, bounded; safe to use from several threads."""

    def __init__(self, options: CacheOptions, clock: Callable[[], float] = time.monotonic) -> None:
        self._options = options
        self._clock = clock
        self._entries: OrderedDict[str, _Entry] = OrderedDict()
        self._bytes = 0
        self._stats = CacheStats()
        self._lock = threading.Lock()
        self._logged_at = clock()

    def get(self, key: str) -> Completion | None:
        """The answer kept under a key, which makes it the one used last; None where there is none, or where it is too old."""
        with self._lock:
            entry = self._entries.get(key)
            if entry and self._options.ttl_s and self._clock() - entry.stored_at > self._options.ttl_s:
                self._drop(key)
                entry = None
            if entry:
                self._entries.move_to_end(key)
            hits, misses = (1, 0) if entry else (0, 1)
            self._stats = replace(
                self._stats, hits=self._stats.hits + hits, misses=self._stats.misses + misses
            )
        self._log_now_and_then()
        return entry.completion if entry else None

    def put(self, key: str, completion: Completion) -> None:
        """Keep an answer, in place of one under the same key; those unused longest go until all fit.

        A text counts as a byte a character, and each entry as half a KiB more.
        """
        size = len(completion.text) + len(completion.reasoning) + _ENTRY_OVERHEAD
        with self._lock:
            if key in self._entries:
                self._drop(key)
            self._entries[key] = _Entry(completion, size, self._clock())
            self._bytes += size
            while len(self._entries) > self._options.max_entries or self._bytes > self._options.max_bytes:
                self._drop(next(iter(self._entries)))
                self._stats = replace(self._stats, evictions=self._stats.evictions + 1)

    def _drop(self, key: str) -> None:
        self._bytes -= self._entries.pop(key).size

    @property
    def stats(self) -> CacheStats:
        """The counts now."""
        with self._lock:
            return replace(self._stats, entries=len(self._entries))

    def _log_now_and_then(self) -> None:
        every, now = self._options.log_interval_s, self._clock()
        if every and now - self._logged_at >= every:
            self._logged_at = now
            _log.info("the cache of %s: %s", self._options.name, self.stats.told(self._options.max_entries))


class Cached(Layer):
    """Wraps an `LLM`."""

    def __init__(self, inner: LLM, store: AnswerStore) -> None:
        super().__init__(inner)
        self.store = store
        self._under_way: PerLoop[dict[str, asyncio.Future[Completion | None]]] = PerLoop(dict)

    async def stream(self, request: LLMRequest) -> AsyncIterator[Chunk]:
        """See `LLM.stream`."""
        if request.samples:
            async with Reading(self._inner.stream(request)) as chunks:
                async for chunk in chunks:
                    yield chunk
            return
        key = request_key(request, self.model_name)
        found = self.store.get(key)
        if found is None and not request.streaming:
            found = await self._awaited(key)
        if found is not None:
            yield replayed(found)
            return
        async with Reading(self._asked(key, request)) as chunks:
            async for chunk in chunks:
                yield chunk

    async def _awaited(self, key: str) -> Completion | None:
        """The answer to an equal request that is under way; None if there is none or it failed."""
        future = self._under_way.get().get(key)
        return await asyncio.shield(future) if future else None

    async def _asked(self, key: str, request: LLMRequest) -> AsyncIterator[Chunk]:
        gathering = Gathering()
        with self._waited_for(key) as answer:
            async with Reading(self._inner.stream(request)) as chunks:
                async for chunk in chunks:
                    gathering.add(chunk)
                    yield chunk
            answer(gathering.result())

    async def complete(self, request: LLMRequest) -> Completion:
        """See `Completing.complete`."""
        if request.samples:
            return await complete(self._inner, request)
        key = request_key(request, self.model_name)
        found = self.store.get(key) or await self._awaited(key)
        if found is not None:
            return replace(found, cached=True)
        with self._waited_for(key) as answer:
            completion = await complete(self._inner, request)
            answer(completion)
        return completion

    @contextmanager
    def _waited_for(self, key: str) -> Iterator[Callable[[Completion], None]]:
        """Equal requests wait until the answer is given to what this gives; they ask for themselves if none is."""
        under_way = self._under_way.get()
        future: asyncio.Future[Completion | None] = asyncio.get_running_loop().create_future()
        under_way.setdefault(key, future)
        completion: Completion | None = None

        def answer(given: Completion) -> None:
            nonlocal completion
            completion = given
            self.store.put(key, given)

        try:
            yield answer
        finally:
            if under_way.get(key) is future:
                del under_way[key]
            future.set_result(completion)


def request_key(request: LLMRequest, model_name: str) -> str:
    """A key that equal requests share: everything that shapes the answer, and the tenant's salt."""
    shaping = asdict(replace(request, streaming=False, priority=0, deadline_s=None, task=None))
    text = json.dumps([model_name, shaping], sort_keys=True, default=repr)
    return hashlib.sha256(text.encode()).hexdigest()


def replayed(completion: Completion) -> Chunk:
    """A kept answer as one chunk."""
    calls = enumerate(completion.tool_calls)
    return Chunk(
        text=completion.text,
        reasoning=completion.reasoning,
        tool_calls=tuple(ToolCallFragment(i, call.id, call.name, call.arguments) for i, call in calls),
        logprobs=completion.logprobs,
        finish_reason=completion.finish_reason,
        usage=completion.usage,
        model=completion.model,
        request_id=completion.request_id,
        cached=True,
        metadata=completion.metadata,
    )
