"""The searcher of our own: an embedder and an index over the items."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

from rails_engine.retrieval.base import Embedder, EmbeddingKind, Hit, Index, Item
from rails_engine.retrieval.index import ExactIndex

PASSAGES_AT_ONCE = 256
"""Texts embedded in one call while building."""


class VectorSearcher:
    """A `Searcher`: items are embedded as passages on `build`, queries on `search`."""

    def __init__(
        self,
        embedder: Embedder,
        make_index: Callable[[int, int], Index] = lambda dimension, _count: ExactIndex(dimension),
        kind: EmbeddingKind = EmbeddingKind.PASSAGE,
    ) -> None:
        """`make_index(dimension, expected_count)` makes the index; `kind` says how the items are embedded."""
        self._embedder = embedder
        self._make_index = make_index
        self._kind = kind
        self._items: list[Item] = []
        self._index: Index | None = None
        self._built = 0
        self._building = asyncio.Lock()

    @property
    def embedder(self) -> Embedder:
        return self._embedder

    async def add(self, items: Sequence[Item]) -> None:
        self._items.extend(items)

    async def build(self) -> None:
        async with self._building:
            index = self._index or self._make_index(await self._embedder.dimension(), len(self._items))
            while self._built < len(self._items):
                batch = self._items[self._built : self._built + PASSAGES_AT_ONCE]
                vectors = await self._embedder.embed([item.text for item in batch], self._kind)
                index.add(np.arange(self._built, self._built + len(batch), dtype=np.int64), vectors)
                self._built += len(batch)
            self._index = index

    async def search(
        self, text: str, limit: int, threshold: float | None = None, tenant: str | None = None
    ) -> list[Hit]:
        if self._built < len(self._items):
            await self.build()
        if self._index is None or not self._built or limit < 1:
            return []
        vector = await self._embedder.embed([text], EmbeddingKind.QUERY)
        ids, scores = self._index.search(vector, min(limit, self._built), self._seen_by(tenant))
        return [
            Hit(self._items[id_], score)
            for id_, score in zip(ids[0].tolist(), scores[0].tolist(), strict=True)
            if id_ >= 0 and (threshold is None or score >= threshold)
        ]

    def _seen_by(self, tenant: str | None) -> NDArray[np.int64] | None:
        if all(item.tenant is None for item in self._items):
            return None
        seen = [i for i, item in enumerate(self._items) if item.tenant is None or item.tenant == tenant]
        return np.asarray(seen, np.int64)
