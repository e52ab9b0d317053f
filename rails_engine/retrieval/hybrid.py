"""Several searchers as one, by reciprocal rank fusion (Cormack et al. 2009), and a reranker after any.

Ranks, unlike scores, can be added up across searchers that have nothing else in common: an item gains 1 / (60 + rank)
from each.
"""

from __future__ import annotations

import asyncio
import math
from collections.abc import Sequence
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from rails_engine.retrieval.base import Hit, Item, Searcher

CANDIDATES = 30
"""How many hits of each searcher are fused."""
_RANK_OFFSET = 60


class HybridSearcher:
    """A `Searcher` over one that gives cosines and others that add to its ranking.

    A hit's score is its cosine, NaN where only the others found it; with a threshold, those are left out.
    """

    def __init__(self, vectors: Searcher, *others: Searcher) -> None:
        self._searchers = (vectors, *others)

    async def add(self, items: Sequence[Item]) -> None:
        """See `Searcher.add`."""
        for searcher in self._searchers:
            await searcher.add(items)

    async def build(self) -> None:
        """See `Searcher.build`."""
        for searcher in self._searchers:
            await searcher.build()

    async def search(
        self, text: str, limit: int, threshold: float | None = None, tenant: str | None = None
    ) -> list[Hit]:
        """See `Searcher.search`."""
        candidates = max(limit, CANDIDATES)
        rankings = await asyncio.gather(
            *(searcher.search(text, candidates, threshold, tenant) for searcher in self._searchers)
        )
        cosines = {id(hit.item): hit.score for hit in rankings[0]}
        fused = [
            Hit(item, cosines.get(id(item), math.nan))
            for item in fuse([[hit.item for hit in ranking] for ranking in rankings])
            if threshold is None or id(item) in cosines
        ]
        return fused[:limit]


def fuse(rankings: Sequence[Sequence[Item]]) -> list[Item]:
    """The items of several rankings, best first; items are told apart by identity."""
    gains: dict[int, float] = {}
    items: dict[int, Item] = {}
    for ranking in rankings:
        for rank, item in enumerate(ranking, start=1):
            gains[id(item)] = gains.get(id(item), 0.0) + 1 / (_RANK_OFFSET + rank)
            items[id(item)] = item
    return [items[key] for key in sorted(gains, key=lambda key: -gains[key])]


class Reranker(Protocol):
    """Reads a question and a passage together, and so judges better than vectors that never met."""

    async def scores(self, question: str, passages: Sequence[str]) -> NDArray[np.float32]:
        """How well each passage answers, higher is better `[n]`.

        Raises:
            EmbeddingError: the model or its endpoint failed.
        """
        ...


class RerankedSearcher:
    """A `Searcher` whose best candidates are put in the order of a reranker."""

    def __init__(self, searcher: Searcher, reranker: Reranker, candidates: int = CANDIDATES) -> None:
        self._searcher = searcher
        self._reranker = reranker
        self._candidates = candidates

    async def add(self, items: Sequence[Item]) -> None:
        """See `Searcher.add`."""
        await self._searcher.add(items)

    async def build(self) -> None:
        """See `Searcher.build`."""
        await self._searcher.build()

    async def search(
        self, text: str, limit: int, threshold: float | None = None, tenant: str | None = None
    ) -> list[Hit]:
        """See `Searcher.search`."""
        hits = await self._searcher.search(text, max(limit, self._candidates), threshold, tenant)
        if len(hits) < 2:
            return hits
        scores = await self._reranker.scores(text, [hit.item.text for hit in hits])
        order = np.argsort(-scores, kind="stable")[:limit].tolist()
        return [hits[place] for place in order]
